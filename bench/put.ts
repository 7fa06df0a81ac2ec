// What a put costs the thread that writes, and what it costs the one that looks whether a drop is known: the store alone, beside that of another checkout.
//
//   npm run bench:put -- ../before [rounds]
//
// The two take turns, each in a process of its own, in memory where there is /dev/shm: it is work that is measured, not the disk. Medians over the rounds.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const OURS = new URL("..", import.meta.url).pathname;
const [first = "", second] = process.argv.slice(2);
const NOW = Math.floor(Date.now() / 1_000);
const MONTH = 30 * 86_400;
const DROPS = 60_000;
const RECIPIENTS = 500;
const AT_ONCE = 32;
// Measured by themselves, so that a noisy moment does not hit all.
const SHARE = 3_000;

if (first === "--measure") {
  console.log(JSON.stringify(await measure(second ?? "")));
} else {
  const rounds = Number(second ?? 8);
  const checkouts = [resolve(first), OURS];
  const results = checkouts.map(() => [] as Measured[]);
  for (let round = 0; round < rounds; round++) {
    for (const [at, checkout] of checkouts.entries()) {
      const args = [import.meta.filename, "--measure", checkout];
      const printed = execFileSync(process.execPath, args, { encoding: "utf8" });
      results[at]?.push(JSON.parse(printed) as Measured);
    }
  }
  for (const [at, checkout] of checkouts.entries()) {
    const [put, look] = (["put", "look"] as const).map((what) =>
      median(results[at]?.map((measured) => measured[what]) ?? []).toFixed(1),
    );
    console.log(`${checkout}: put ${put} µs, look ${look} µs`);
  }
}

type Measured = { readonly put: number; readonly look: number };

async function measure(checkout: string): Promise<Measured> {
  const { openLmdbStore } = await import(join(checkout, "src/store/lmdb.ts"));
  const { openKnownDrops } = await import(join(checkout, "src/store/known-drops.ts"));
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "deaddrop-put-"));
  const limits = {
    boxDrops: DROPS,
    boxBytes: 2 ** 40,
    eventBytes: 65_536,
    earlyTombstones: 10,
    earlyTombstonesInAll: 10,
    authorDeletesWraps: false,
  };
  const settings = { folder, retentionSeconds: MONTH, diskReserveBytes: 0, limits };
  const opened = await openLmdbStore(settings, { now: () => NOW, monotonic: () => 0 });
  const known = openKnownDrops(folder, opened.shared);
  const recipients = Array.from({ length: RECIPIENTS }, () => randomBytes(32).toString("hex"));
  const [puts, looks]: [number[], number[]] = [[], []];
  for (let made = 0; made < DROPS; made += SHARE) {
    const drops = Array.from({ length: SHARE }, (_, n) => aDrop(made + n, recipients));
    await opened.look();
    known.refresh();
    const began = performance.now();
    // A checkout of before answers no names.
    for (const drop of drops) drop.names = (known.look ?? known.known)(drop).names;
    looks.push(((performance.now() - began) / SHARE) * 1_000);
    const before = process.threadCpuUsage();
    for (let at = 0; at < SHARE; at += AT_ONCE) {
      await Promise.all(drops.slice(at, at + AT_ONCE).map((drop) => opened.store.put(drop, NOW)));
    }
    const { user, system } = process.threadCpuUsage(before);
    puts.push((user + system) / SHARE);
  }
  await opened.store.close();
  await known.close();
  rmSync(folder, { recursive: true });
  // The first share is that of a process that is not warm.
  return { put: median(puts.slice(1)), look: median(looks.slice(1)) };
}

function aDrop(number: number, recipients: readonly string[]) {
  const [id, author] = [randomBytes(32).toString("hex"), randomBytes(32).toString("hex")];
  const recipient = recipients[number % RECIPIENTS] ?? "";
  const created_at = NOW - number;
  const event = { id, pubkey: author, created_at, kind: 1059, tags: [["p", recipient]] };
  const json = JSON.stringify({ ...event, content: "x".repeat(800), sig: "0".repeat(128) });
  const names: string | undefined = undefined;
  return { id, recipient, author, created_at, kind: 1059, expiry: NOW + MONTH, json, names };
}

function median(of: readonly number[]): number {
  return of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;
}
