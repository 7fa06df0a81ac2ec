// Whether a stranger can tell, by the first publication of a wrap at a relay, that its recipient has acknowledged it there (NIP-DD, "The same answer").
//
//   npm run bench:first-arrival -- [--quick] [--trials 10000] [--content-bytes 615]
//
// Two relays of ours, A and B, with default settings. In each trial a stranger drops a wrap on A alone; a coin decides whether the recipient acknowledges it, on
// both, as clients do; then the stranger publishes it on B for the first time, and notes the answer and how long it took. Trials go in batches: all that
// is acknowledged in one is answered before its publications begin, and those are in random order, one at a time over a connection that does nothing else.

import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { anyOf, Asking, framed, publishAll, shuffled } from "./harness/asking.ts";
import { acknowledgement, giftWrap, person } from "./harness/events.ts";
import { guessed, type Trial } from "./harness/guess.ts";
import { machine } from "./harness/machine.ts";
import { startRelay } from "./harness/relay.ts";

const FULL_TRIALS = 10_000;
const QUICK_TRIALS = 400;
const BATCH = 100;
const RECIPIENTS = 200;
// Each from an address of its own, so that no rate limit is met.
const CONNECTIONS = 64;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    trials: { type: "string" },
    "content-bytes": { type: "string", default: "615" },
  },
});
const trials = Number(values.trials ?? (values.quick ? QUICK_TRIALS : FULL_TRIALS));
const contentBytes = Number(values["content-bytes"]);

const folders = ["a", "b"].map((name) => mkdtempSync(join(tmpdir(), `deaddrop-first-${name}-`)));
const settings = { DEADDROP_TRUSTED_PROXIES: "127.0.0.1" };
const relays = [];
for (const folder of folders) relays.push(await startRelay(folder, settings, { isHurried: true }));
const connected = (url: string, from: number): Promise<Asking[]> =>
  Promise.all(
    Array.from({ length: CONNECTIONS }, (_, number) => Asking.connect(url, from + number)),
  );
const [a, b] = relays;
if (a === undefined || b === undefined) throw new Error("two relays");
const [strangersAtA, strangersAtB, recipientsAtA, recipientsAtB] = [
  await connected(a.url, 0),
  await connected(b.url, 0),
  await connected(a.url, 1_000),
  await connected(b.url, 1_000),
];
const recipients = Array.from({ length: RECIPIENTS }, () => person());

const done: Trial[] = [];
while (done.length < trials) {
  const batch = Array.from({ length: Math.min(BATCH, trials - done.length) }, () => {
    const recipient = anyOf(recipients);
    const wrap = giftWrap(recipient.pubkey, { contentBytes });
    return { recipient, wrap, bytes: framed(wrap), isAcknowledged: randomInt(2) === 1 };
  });
  await publishAll(
    strangersAtA,
    batch.map(({ wrap }) => wrap),
  );
  const acknowledgements = batch
    .filter(({ isAcknowledged }) => isAcknowledged)
    .map(({ recipient, wrap }) => acknowledgement(recipient, [wrap.id]));
  await publishAll(recipientsAtA, acknowledgements);
  await publishAll(recipientsAtB, acknowledgements);
  for (const { wrap, bytes, isAcknowledged } of shuffled(batch)) {
    const { answer, micros } = await anyOf(strangersAtB).ask(bytes);
    done.push({ isSo: isAcknowledged, answer: answer.replace(wrap.id, "<id>"), micros });
  }
  if (done.length % 1_000 === 0) process.stderr.write(`${done.length} trials\n`);
}
const all = [strangersAtA, strangersAtB, recipientsAtA, recipientsAtB].flat();
await Promise.all(all.map((connection) => connection.close()));
for (const relay of relays) await relay.stop();
for (const folder of folders) rmSync(folder, { recursive: true });

const { processor, cores, kernel, filesystem, node } = machine();
process.stdout.write(`\
${done.length} trials, wraps with ${contentBytes} random bytes of content; ${processor}, ${cores} cores, ${kernel}, ${filesystem}, Node ${node}
${guessed(done, { so: "acknowledged before", otherwise: "not acknowledged" })}`);
