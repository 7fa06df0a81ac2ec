// What a drop costs the disk under different layouts of the keys: why src/store/layout.ts looks as it does.
//
//   npm run bench:layouts
//
// 64 writers, 1.2 KB events for 5,000 recipients with timestamps spread over two days as NIP-59 asks, every write durable before it counts. Each
// layout is filled with half as many drops first. Layouts take turns, so that a noisy moment hits all of them.

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Database, open } from "lmdb";

const WRITERS = 64;
const RECIPIENTS = 5_000;
const GENERATION = 8_192;
const EVENT = "x".repeat(1_200);
const NOW = 1_790_000_000;
const TWO_DAYS = 172_800;
const MAX_TIME = 2 ** 40 - 1;

type Tables = Record<string, Database<Buffer | string, Buffer | number>>;
type Drop = { recipient: Buffer; id: Buffer; createdAt: number; seq: number };
type Layout = { name: string; put(tables: Tables, drop: Drop): void };

function key(parts: readonly (Buffer | readonly [number, number])[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (Buffer.isBuffer(part)) return part;
      const number = Buffer.alloc(part[1]);
      number.writeUIntBE(part[0], 0, part[1]);
      return number;
    }),
  );
}

const boxKey = (drop: Drop, idBytes: number): Buffer =>
  key([drop.recipient, [MAX_TIME - drop.createdAt, 5], drop.id.subarray(0, idBytes)]);
const NOTHING = Buffer.alloc(0);
const HEADER = Buffer.alloc(17);

const twoTables = (idBytes: number) => (tables: Tables, drop: Drop) => {
  tables["drops"]?.putSync(drop.seq, EVENT, { append: true });
  tables["boxes"]?.putSync(boxKey(drop, idBytes), HEADER);
};
const withId16 = twoTables(16);

function expireByDay(tables: Tables, { createdAt, seq }: Drop): void {
  const day = Math.floor((createdAt + TWO_DAYS) / 86_400);
  tables["expiries"]?.putSync(
    key([
      [day, 2],
      [seq, 6],
    ]),
    NOTHING,
  );
}

// As src/store/boxes.ts does it, with a smaller generation, so that a short run sees several.
function settledLater(): Layout["put"] {
  let young: { key: Buffer }[] = [];
  let settling: { key: Buffer }[] = [];
  return (tables, drop) => {
    // A new store begins.
    if (drop.seq === 1) [young, settling] = [[], []];
    tables["drops"]?.putSync(drop.seq, EVENT, { append: true });
    expireByDay(tables, drop);
    young.push({ key: boxKey(drop, 16) });
    for (let settled = 0; settled < 2; settled += 1) {
      const next = settling.pop();
      if (next !== undefined) tables["boxes"]?.putSync(next.key, HEADER);
    }
    if (young.length < GENERATION || settling.length > 0) return;
    settling = young.sort((a, b) => b.key.compare(a.key));
    young = [];
  };
}

const LAYOUTS: readonly Layout[] = [
  {
    name: "event under (recipient, time, id)",
    put(tables, drop) {
      tables["clustered"]?.putSync(boxKey(drop, 16), EVENT);
    },
  },
  { name: "event under seq; (recipient, time, id 16)", put: withId16 },
  { name: "event under seq; (recipient, time, id 32)", put: twoTables(32) },
  {
    name: "… id 16, and (day of expiry, seq)",
    put(tables, drop) {
      withId16(tables, drop);
      expireByDay(tables, drop);
    },
  },
  { name: "… the first of them later, many in the order of keys: chosen", put: settledLater() },
  {
    name: "… id 16, and (second of expiry, seq)",
    put(tables, drop) {
      withId16(tables, drop);
      tables["expiries"]?.putSync(
        key([
          [drop.createdAt + TWO_DAYS, 5],
          [drop.seq, 6],
        ]),
        NOTHING,
      );
    },
  },
  {
    name: "… id 16, day, and (id)",
    put(tables, drop) {
      withId16(tables, drop);
      expireByDay(tables, drop);
      tables["ids"]?.putSync(drop.id, HEADER);
    },
  },
];

type Measured = { dropsPerSecond: number; cpuMicroseconds: number; writtenKb: number };

async function measure(layout: Layout, drops: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "layout-"));
  const root = open({ path: folder, overlappingSync: false, pageSize: 8_192, maxDbs: 8 });
  const binary = { encoding: "binary", keyEncoding: "binary" } as const;
  const tables = {
    drops: root.openDB({ name: "drops", encoding: "string" }),
    clustered: root.openDB({ name: "clustered", encoding: "string", keyEncoding: "binary" }),
    boxes: root.openDB({ name: "boxes", ...binary }),
    expiries: root.openDB({ name: "expiries", ...binary }),
    ids: root.openDB({ name: "ids", ...binary }),
  } as unknown as Tables;
  const recipients = Array.from({ length: RECIPIENTS }, () => randomBytes(32));
  let seq = 0;
  const fill = async (count: number): Promise<void> => {
    for (let written = 0; written < count; written += WRITERS) {
      await root.childTransaction(() => {
        for (let writer = 0; writer < WRITERS; writer++) {
          const recipient = recipients[Math.floor(Math.random() * RECIPIENTS)] ?? NOTHING;
          const createdAt = NOW - Math.floor(Math.random() * TWO_DAYS);
          layout.put(tables, { recipient, id: randomBytes(32), createdAt, seq: ++seq });
        }
      });
    }
  };
  await fill(drops / 2);
  const written = bytesWritten();
  const cpu = process.cpuUsage();
  const start = performance.now();
  await fill(drops);
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const result = {
    dropsPerSecond: drops / seconds,
    cpuMicroseconds: (user + system) / drops,
    writtenKb: (bytesWritten() - written) / drops / 1_024,
  };
  await root.close();
  rmSync(folder, { recursive: true });
  return result;
}

function bytesWritten(): number {
  // What was handed to the system. `write_bytes` counts whole folios of the page cache, which are much larger.
  return Number(/^wchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
}

const drops = Number(process.argv[2] ?? 60_000);
const rounds = Number(process.argv[3] ?? 3);
const results = new Map<string, Measured[]>();
for (let round = 0; round < rounds; round++) {
  for (const layout of LAYOUTS) {
    results.set(layout.name, [...(results.get(layout.name) ?? []), await measure(layout, drops)]);
  }
}
console.log(
  `| layout (${drops} drops, median of ${rounds}) | drops/s | CPU µs per drop | KB written per drop |`,
);
console.log("| --- | --- | --- | --- |");
for (const [name, measured] of results) {
  const median = (of: keyof Measured): number =>
    measured.map((one) => one[of]).sort((a, b) => a - b)[Math.floor(measured.length / 2)] ?? 0;
  console.log(
    `| ${name} | ${median("dropsPerSecond").toFixed(0)} | ${median("cpuMicroseconds").toFixed(1)} | ${median("writtenKb").toFixed(1)} |`,
  );
}
