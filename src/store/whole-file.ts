// Looks at the store's file before LMDB does, with plain reads. LMDB maps what it finds: a file that ends before its last page ends the process with a signal
// (SIGBUS), and so does one that cannot be opened (SIGSEGV, lmdb 3.5.6). What is checked is what LMDB relies on without looking: that both meta pages are its
// own, that the trees begin where they say, and that every page that is in use is in the file.
//
// LMDB's structures (mdb.c: MDB_page_header, MDB_meta, MDB_db, MDB_node, MDB_ovpage), little-endian, offsets in bytes.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";

import { TABLES } from "./layout.ts";

const HEADER = { bytes: 24, flags: 18, lower: 20 } as const;
const META = { magic: 24, version: 28, pageBytes: 48, free: 48, main: 96, lastPage: 144, id: 152 };
const META_END = 168;
const TREE = { bytes: 48, root: 40 } as const;
const NODE = { bytes: 8, flags: 4, keyBytes: 6 } as const;
const LONG = { page: 0, pages: 16, bytes: 24 } as const;

const MAGIC = 0xbeefc0de;
const VERSION = 2;
const BRANCH = 0x01;
const LEAF = 0x02;
const META_PAGE = 0x08;
const LONG_VALUE = 0x01;
const SUB_TREE = 0x02;
const NO_PAGE = 2n ** 64n - 1n;
const MIN_PAGE_BYTES = 256;
const MAX_PAGE_BYTES = 65_536;

/** What is wrong with a file that is to be a store's, undefined if nothing is. */
export type Flaw = "empty" | "foreign" | "cut short" | "damaged";

/** Throws what the system says when the file cannot be opened. */
export function flawOf(path: string): Flaw | undefined {
  const file = openSync(path, "r");
  try {
    return flawIn(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function flawIn(file: number, size: number): Flaw | undefined {
  if (size === 0) return "empty";
  const first = read(file, 0, META_END);
  if (first.readUInt32LE(META.magic) !== MAGIC) return "foreign";
  if ((first.readUInt32LE(META.version) & 0xffff) !== VERSION) return "foreign";
  const pageBytes = first.readUInt32LE(META.pageBytes);
  const isPageSize = pageBytes >= MIN_PAGE_BYTES && pageBytes <= MAX_PAGE_BYTES;
  if (!isPageSize || (pageBytes & (pageBytes - 1)) !== 0) return "damaged";
  if (size < 2 * pageBytes) return "cut short";
  const second = read(file, pageBytes, META_END);
  for (const meta of [first, second]) {
    if ((meta.readUInt16LE(HEADER.flags) & META_PAGE) === 0) return "damaged";
  }
  if (second.readUInt32LE(META.magic) !== MAGIC) return "damaged";
  const newer = first.readBigUInt64LE(META.id) > second.readBigUInt64LE(META.id) ? first : second;
  const pages = Math.floor(size / pageBytes);
  // A file may be shorter than it says if nothing is in the pages it lacks: then all the others are looked at.
  const isShort = newer.readBigUInt64LE(META.lastPage) >= BigInt(pages);
  const trees = [META.free, META.main].map((at) => newer.readBigUInt64LE(at + TREE.root));
  const flaw = new Walk(file, pageBytes, pages, isShort).flawUnder(trees);
  if (flaw !== undefined) return flaw;
  const main = newer.readBigUInt64LE(META.main + TREE.root);
  if (main === NO_PAGE) return undefined;
  return isOurs(read(file, Number(main) * pageBytes, pageBytes)) ? undefined : "foreign";
}

// Other programs keep LMDB files too, often under the same name. `main` is the root of the tree that has the tables: ours, or some of them where the first start
// was cut short; a store of another format has other tables, and `meta` that says so.
function isOurs(main: Buffer): boolean {
  if ((main.readUInt16LE(HEADER.flags) & BRANCH) !== 0) return false;
  const names = (nodesOf(main) ?? []).map((node) => {
    const isTable = (main.readUInt16LE(node + NODE.flags) & SUB_TREE) !== 0;
    const key = node + NODE.bytes;
    // Less the zero at its end.
    const end = key + main.readUInt16LE(node + NODE.keyBytes) - 1;
    return isTable ? main.toString("latin1", key, end) : "";
  });
  return names.includes("meta") || names.every((name) => TABLES.includes(name));
}

class Walk {
  readonly #file: number;
  readonly #pageBytes: number;
  readonly #pages: number;
  readonly #everywhere: boolean;

  /** Of a file of so many whole pages. Looks at the roots of the trees alone, or `everywhere`. */
  constructor(file: number, pageBytes: number, pages: number, everywhere: boolean) {
    this.#file = file;
    this.#pageBytes = pageBytes;
    this.#pages = pages;
    this.#everywhere = everywhere;
  }

  flawUnder(roots: readonly bigint[]): Flaw | undefined {
    const waiting = roots.filter((page) => page !== NO_PAGE);
    // A tree has no page twice.
    let left = this.#pages;
    for (let page = waiting.pop(); page !== undefined; page = waiting.pop()) {
      if (page >= BigInt(this.#pages)) return "cut short";
      if (left-- === 0) return "damaged";
      const bytes = read(this.#file, Number(page) * this.#pageBytes, this.#pageBytes);
      const flags = bytes.readUInt16LE(HEADER.flags);
      if (bytes.readBigUInt64LE(0) !== page || (flags & (BRANCH | LEAF)) === 0) return "damaged";
      const nodes = nodesOf(bytes);
      if (nodes === undefined) return "damaged";
      for (const node of nodes) {
        const next = (flags & BRANCH) === 0 ? this.#underLeaf(bytes, node) : branchOf(bytes, node);
        if (next === "cut short") return next;
        if (next !== undefined && next.page !== NO_PAGE && (next.isRoot || this.#everywhere)) {
          waiting.push(next.page);
        }
      }
    }
    return undefined;
  }

  #underLeaf(bytes: Buffer, node: number): Next | "cut short" | undefined {
    const flags = bytes.readUInt16LE(node + NODE.flags);
    const value = node + NODE.bytes + bytes.readUInt16LE(node + NODE.keyBytes);
    if ((flags & SUB_TREE) !== 0 && value + TREE.bytes <= bytes.length) {
      return { page: bytes.readBigUInt64LE(value + TREE.root), isRoot: true };
    }
    if ((flags & LONG_VALUE) === 0 || value + LONG.bytes > bytes.length) return undefined;
    const end = bytes.readBigUInt64LE(value) + bytes.readBigUInt64LE(value + LONG.pages);
    return end > BigInt(this.#pages) ? "cut short" : undefined;
  }
}

type Next = { readonly page: bigint; readonly isRoot: boolean };

function branchOf(bytes: Buffer, node: number): Next {
  const high = BigInt(bytes.readUInt16LE(node + NODE.flags)) << 32n;
  return { page: high | BigInt(bytes.readUInt32LE(node)), isRoot: false };
}

// Where the nodes of a page are.
function nodesOf(bytes: Buffer): number[] | undefined {
  // Counted, like the places of the nodes, from the end of the header.
  const end = HEADER.bytes + bytes.readUInt16LE(HEADER.lower);
  if (end > bytes.length) return undefined;
  const nodes: number[] = [];
  for (let at = HEADER.bytes; at + 2 <= end; at += 2) {
    const node = HEADER.bytes + bytes.readUInt16LE(at);
    if (node < end || node + NODE.bytes > bytes.length) return undefined;
    nodes.push(node);
  }
  return nodes;
}

function read(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  readSync(file, bytes, 0, length, at);
  return bytes;
}
