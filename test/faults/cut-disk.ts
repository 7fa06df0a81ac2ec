// What a power cut leaves of a folder, by what POSIX promises and no more.
//
// - What was flushed is there: of a file all that was written and how long it was when fsync or fdatasync of it began, of a folder (fsync) the names in it.
// - Of what was not flushed any part is there. Of each sector of a file what any of the writes since the last flush left in it, or none; the file as long as after
//   any of them; of the names in a folder any of the changes. Nothing orders one against another, but that a rename in one folder happens whole or not at all.
// - A file whose name is not there is not there, however well it was flushed.
//
// A real file system promises more, each another thing. A disk that loses what it said it had flushed is not among these.

import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Recorded } from "./recorded-writes.ts";
import type { Chance } from "./seeded.ts";

const SECTOR = 512;

/** Which of the changes that were not flushed are there after all. */
export type Survival = {
  /** Of all records that changed something: whether what this one did is there as a whole. `undefined`: it is torn. */
  readonly whole: (at: number) => boolean | undefined;
  /** Of a torn one, each sector anew. */
  readonly part: () => boolean;
};

type Version<Value> = { readonly at: number; readonly value: Value };

/** Something that has one value on the disk, and further ones that may get there. */
class Cached<Value> {
  #onDisk: Value;
  #later: Version<Value>[] = [];

  constructor(value: Value) {
    this.#onDisk = value;
  }

  get newest(): Value {
    return this.#later.at(-1)?.value ?? this.#onDisk;
  }

  get isFlushed(): boolean {
    return this.#later.length === 0;
  }

  set(at: number, value: Value): void {
    this.#later.push({ at, value });
  }

  /** All that was set before this is on the disk. */
  flush(before: number): void {
    const done = this.#later.filter(({ at }) => at < before);
    this.#onDisk = done.at(-1)?.value ?? this.#onDisk;
    this.#later = this.#later.slice(done.length);
  }

  survivor({ whole, part }: Survival): Value {
    for (const { at, value } of this.#later.toReversed()) if (whole(at) ?? part()) return value;
    return this.#onDisk;
  }
}

const EMPTY = Buffer.alloc(SECTOR);

class File {
  readonly #sectors = new Map<number, Cached<Buffer>>();
  readonly #unflushed = new Set<number>();
  readonly #size = new Cached(0);
  isMapped = false;

  write(at: number, offset: number, bytes: Buffer): void {
    const end = offset + bytes.length;
    for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < end; sector += 1) {
      const start = sector * SECTOR;
      const cached = this.#sectorAt(sector);
      const value = Buffer.from(cached.newest);
      const from = Math.max(offset, start);
      bytes.copy(value, from - start, from - offset, Math.min(end, start + SECTOR) - offset);
      cached.set(at, value);
      this.#unflushed.add(sector);
    }
    if (end > this.#size.newest) this.#size.set(at, end);
  }

  resize(at: number, size: number): void {
    for (const [sector, cached] of this.#sectors) {
      const kept = size - sector * SECTOR;
      if (kept >= SECTOR) continue;
      cached.set(at, Buffer.from(cached.newest).fill(0, Math.max(0, kept)));
      this.#unflushed.add(sector);
    }
    this.#size.set(at, size);
  }

  /** What was written before record `before`, in `range` alone where there is one. */
  flush(before: number, range?: { readonly offset: number; readonly end: number }): void {
    for (const sector of this.#unflushed) {
      const isIn =
        range === undefined ||
        ((sector + 1) * SECTOR > range.offset && sector * SECTOR < range.end);
      if (!isIn) continue;
      const cached = this.#sectorAt(sector);
      cached.flush(before);
      if (cached.isFlushed) this.#unflushed.delete(sector);
    }
    // Without it what was flushed would not be found again.
    this.#size.flush(before);
  }

  survivor(survival: Survival): Buffer {
    const content = Buffer.alloc(this.#size.survivor(survival));
    for (const [sector, cached] of this.#sectors) {
      const start = sector * SECTOR;
      if (start < content.length) cached.survivor(survival).copy(content, start);
    }
    return content;
  }

  #sectorAt(sector: number): Cached<Buffer> {
    const found = this.#sectors.get(sector) ?? new Cached(EMPTY);
    this.#sectors.set(sector, found);
    return found;
  }
}

/** Names that were given to something, or taken from it (undefined), at once. */
type Naming = { readonly name: string; readonly of: Folder | File | undefined };

class Folder {
  #onDisk = new Map<string, Folder | File>();
  #later: Version<readonly Naming[]>[] = [];

  set(at: number, ...namings: readonly Naming[]): void {
    this.#later.push({ at, value: namings });
  }

  get(name: string): Folder | File | undefined {
    return this.#with(() => true).get(name);
  }

  flush(before: number): void {
    this.#onDisk = this.#with((at) => at < before);
    this.#later = this.#later.filter(({ at }) => at >= before);
  }

  survivor({ whole, part }: Survival): Map<string, Folder | File> {
    return this.#with((at) => whole(at) ?? part());
  }

  #with(isThere: (at: number) => boolean): Map<string, Folder | File> {
    const names = new Map(this.#onDisk);
    for (const { at, value } of this.#later) {
      if (!isThere(at)) continue;
      for (const { name, of } of value) {
        if (of === undefined) names.delete(name);
        else names.set(name, of);
      }
    }
    return names;
  }
}

type Flush = {
  readonly of: Folder | File;
  readonly before: number;
  readonly range?: { readonly offset: number; readonly end: number };
};

/** The folder that was recorded, from its first record on: it was empty then. */
export class CutDisk {
  readonly #root = new Folder();
  readonly #byInode = new Map<bigint, Folder | File>();
  readonly #flushes = new Map<bigint, Flush>();
  #next = 0;

  /** How many records were taken up: a cut comes after them. */
  get records(): number {
    return this.#next;
  }

  take(record: Recorded): void {
    const at = this.#next++;
    switch (record.what) {
      case "made": {
        const made = record.isFolder ? new Folder() : new File();
        this.#byInode.set(record.inode, made);
        this.#name(at, record.path, made);
        break;
      }
      case "written":
        this.#file(record.inode).write(at, record.offset, record.bytes);
        break;
      case "writing": {
        const { inode, offset, bytes, flush } = record;
        const of = this.#file(inode);
        of.write(at, offset, bytes);
        const range = { offset, end: offset + bytes.length };
        this.#flushes.set(flush, { of, before: this.#next, range });
        break;
      }
      case "sized":
        this.#file(record.inode).resize(at, record.size);
        break;
      case "flushing":
        this.#flushes.set(record.flush, { of: this.#at(record.inode), before: at });
        break;
      case "flushed": {
        const flush = this.#flushes.get(record.flush);
        // What a failed one left on the disk nobody knows.
        if (flush !== undefined && !record.isFailed) flush.of.flush(flush.before, flush.range);
        this.#flushes.delete(record.flush);
        break;
      }
      case "renamed":
      case "linked":
        this.#rename(at, record);
        break;
      case "removed":
        this.#name(at, record.path, undefined);
        break;
      case "mapped":
        this.#file(record.inode).isMapped = true;
        break;
      case "said":
        break;
    }
  }

  /** Makes in `target`, an empty folder, what the disk shows when the power is back. */
  cut(target: string, survival: Survival, chance: Chance): void {
    writeFolder(this.#root, target, survival, chance);
  }

  #name(at: number, path: string, of: Folder | File | undefined): void {
    // What there was before it is the folder itself.
    if (path === "") {
      if (of !== undefined) throw new Error("the folder that is recorded was made again");
      return;
    }
    const { folder, name } = this.#placeOf(path);
    folder.set(at, { name, of });
  }

  #rename(at: number, { what, path, to }: Recorded & { what: "renamed" | "linked" }): void {
    const from = this.#placeOf(path);
    const target = this.#placeOf(to);
    const of = from.folder.get(from.name);
    if (of === undefined) throw new Error(`${path} was renamed and was never made`);
    const given = { name: target.name, of };
    const taken = what === "renamed" ? [{ name: from.name, of: undefined }] : [];
    if (from.folder === target.folder) {
      from.folder.set(at, ...taken, given);
      return;
    }
    target.folder.set(at, given);
    from.folder.set(at, ...taken);
  }

  #placeOf(path: string): { folder: Folder; name: string } {
    const names = path.split("/").slice(1);
    const name = names.pop() ?? "";
    let folder = this.#root;
    for (const each of names) {
      const next = folder.get(each);
      if (!(next instanceof Folder)) throw new Error(`${path} is in a folder that was never made`);
      folder = next;
    }
    return { folder, name };
  }

  #at(inode: bigint): Folder | File {
    const found = this.#byInode.get(inode);
    // The only one that was there before.
    return found ?? this.#root;
  }

  #file(inode: bigint): File {
    const found = this.#byInode.get(inode);
    if (found instanceof File) return found;
    throw new Error("something was written into a file that was never made");
  }
}

function writeFolder(
  folder: Folder,
  target: string,
  survival: Survival,
  chance: Chance,
  written = new Map<File, string>(),
): void {
  for (const [name, of] of folder.survivor(survival)) {
    const path = join(target, name);
    if (of instanceof Folder) {
      mkdirSync(path, { mode: 0o700 });
      writeFolder(of, path, survival, chance, written);
      continue;
    }
    // Two names of one file.
    const other = written.get(of);
    if (other !== undefined) {
      linkSync(other, path);
      continue;
    }
    written.set(of, path);
    const content = of.survivor(survival);
    // Anything may stand where a process wrote into a map.
    if (of.isMapped && chance.is(0.5))
      for (const at of content.keys()) content[at] = chance.between(0, 255);
    writeFileSync(path, content, { mode: 0o600 });
  }
}

/** A way in which a disk loses what was not flushed. */
export function survival(chance: Chance): Survival {
  const [share, torn] = [chance.between(0, 100) / 100, chance.between(0, 100) / 100];
  return {
    part: () => chance.is(share),
    whole: chance.of<Survival["whole"]>([
      () => true,
      () => false,
      () => false,
      () => undefined,
      once(() => chance.is(share)),
      once(() => (chance.is(torn) ? undefined : chance.is(share))),
      // All but a few, and a few alone.
      once(() => !chance.is(0.1)),
      once(() => chance.is(0.1)),
    ]),
  };
}

// Chosen for each record once.
function once(choose: () => boolean | undefined): Survival["whole"] {
  const survives = new Map<number, boolean | undefined>();
  return (at) => {
    if (!survives.has(at)) survives.set(at, choose());
    return survives.get(at);
  };
}
