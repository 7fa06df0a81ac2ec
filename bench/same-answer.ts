// Whether a stranger can tell, by any answer, what became of a drop, whether its recipient is connected, or whether a box is full (NIP-DD, "The same answer").
//
//   npm run bench:same-answer -- [--quick] [--trials 10000] [--processors 0] [question …]
//
// One relay of ours, whose rates are not limited. For each question there are trials of two kinds, as a coin decides; they are prepared in batches, and asked in random
// order, one at a time, over connections that do nothing else. What is published for the first time is bench:first-arrival's.

import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";

import { finalizeEvent } from "../test/support/sign.ts";
import { anyOf, Asking, publishAll, shuffled } from "./harness/asking.ts";
import { acknowledgement, giftWrap, now, person, type Person, stranger } from "./harness/events.ts";
import { guessed, type Trial } from "./harness/guess.ts";
import { machine } from "./harness/machine.ts";
import { Posting } from "./harness/posting.ts";
import { startRelay } from "./harness/relay.ts";
import { frame } from "./harness/wire.ts";

const FULL_TRIALS = 10_000;
const QUICK_TRIALS = 400;
const BATCH = 100;
const RECIPIENTS = 200;
const CONNECTIONS = 32;
const DROPS_IN_A_FULL_BOX = 200;
const SOON = 2;

/** What is said, as the message it is over WebSocket, and the id in its answer. */
type Prepared = { readonly isSo: boolean; readonly said: readonly unknown[]; readonly id: string };

type Question = {
  readonly so: string;
  readonly otherwise: string;
  /** Does what each trial needs, and answers what the stranger sends. */
  readonly prepare: (kinds: readonly boolean[]) => Promise<readonly Prepared[]>;
  /** Whether the stranger has proved a key of his own, or comes to the HTTP door. */
  readonly as?: "known" | "door";
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    trials: { type: "string" },
    // Those of the relay. A stranger on another machine is never in its way: `taskset -c 1 npm run bench:same-answer -- --processors 0`.
    processors: { type: "string" },
  },
});
const trials = Number(values.trials ?? (values.quick ? QUICK_TRIALS : FULL_TRIALS));
const { processors } = values;

const folder = mkdtempSync(join(tmpdir(), "deaddrop-same-"));
const relay = await startRelay(
  folder,
  { DEADDROP_TRUSTED_PROXIES: "127.0.0.1" },
  processors === undefined ? {} : { processors },
);
const connected = (from: number): Promise<Asking[]> =>
  Promise.all(
    Array.from({ length: CONNECTIONS }, (_, number) => Asking.connect(relay.url, from + number)),
  );
const [others, strangers, known] = [
  await connected(0),
  await connected(1_000),
  await Promise.all((await connected(2_000)).map((one) => one.authenticate(person()))),
];
const door = Array.from(
  { length: CONNECTIONS },
  (_, number) => new Posting(relay.url.replace("ws:", "http:"), 4_000 + number),
);
const recipients = Array.from({ length: RECIPIENTS }, () => person());
const [online, offline] = [recipients.slice(0, 20), recipients.slice(20, 40)];
const listening = new Worker(new URL("./harness/listeners.ts", import.meta.url), {
  workerData: { url: relay.url, secrets: online.map(({ secret }) => secret), from: 3_000 },
});
await once(listening, "message");

function wrapFor({ pubkey }: Person, kind = 1_059, tags: string[][] = []): { id: string } {
  const content = randomBytes(615).toString("base64");
  const template = { kind, created_at: now(), tags: [["p", pubkey], ...tags], content };
  return finalizeEvent(template, anyOf(recipients).secret);
}

/** Drops, of which one kind is acknowledged: before they come, or after. */
function dropped(when: "before" | "after", expiresIn?: number): Question["prepare"] {
  return async (kinds) => {
    const tags = expiresIn === undefined ? [] : [["expiration", String(now() + expiresIn)]];
    const drops = kinds.map((isSo) => {
      const recipient = anyOf(recipients);
      return { isSo, recipient, wrap: wrapFor(recipient, 1_059, tags) };
    });
    const acknowledgements = drops
      .filter(({ isSo }) => isSo)
      .map(({ recipient, wrap }) => acknowledgement(recipient, [wrap.id]));
    if (when === "before") await publishAll(others, acknowledgements);
    await publishAll(
      others,
      drops.map(({ wrap }) => wrap),
    );
    if (when === "after") await publishAll(others, acknowledgements);
    if (expiresIn !== undefined) await sleep((expiresIn + 1) * 1_000);
    return drops.map(({ isSo, wrap }) => ({ isSo, said: ["EVENT", wrap], id: wrap.id }));
  };
}

/** What comes for those who listen, and for those who do not. */
function sent(kind: number): Question["prepare"] {
  return async (kinds) =>
    kinds.map((isSo) => {
      const wrap = wrapFor(anyOf(isSo ? online : offline), kind);
      return { isSo, said: ["EVENT", wrap], id: wrap.id };
    });
}

const full = person();
for (let count = 0; count < DROPS_IN_A_FULL_BOX; count += BATCH) {
  await publishAll(
    others,
    Array.from({ length: BATCH }, () => giftWrap(full.pubkey)),
  );
}

/** The same question about a box with drops in it, and about one that nobody ever wrote to. */
function aboutBoxes(ask: (box: string) => readonly unknown[]): Question["prepare"] {
  return async (kinds) =>
    kinds.map((isSo) => ({
      isSo,
      said: ask(isSo ? full.pubkey : stranger()),
      id: "",
    }));
}

const QUESTIONS: Readonly<Record<string, Question>> = {
  "a copy": { so: "acknowledged", otherwise: "held", prepare: dropped("after") },
  "a copy, early": {
    so: "acknowledged before it came",
    otherwise: "held",
    prepare: dropped("before"),
  },
  "a copy, expired": {
    so: "acknowledged",
    otherwise: "held until then",
    prepare: dropped("after", SOON),
  },
  "a first wrap": { so: "recipient online", otherwise: "offline", prepare: sent(1_059) },
  "a copy, posted": {
    so: "acknowledged",
    otherwise: "held",
    prepare: dropped("after"),
    as: "door",
  },
  "a first wrap, posted": {
    so: "recipient online",
    otherwise: "offline",
    prepare: sent(1_059),
    as: "door",
  },
  "an ephemeral wrap": { so: "recipient online", otherwise: "offline", prepare: sent(21_059) },
  REQ: {
    so: "full box",
    otherwise: "empty box",
    prepare: aboutBoxes((box) => ["REQ", "q", { "#p": [box] }]),
    as: "known",
  },
  COUNT: {
    so: "full box",
    otherwise: "empty box",
    prepare: aboutBoxes((box) => ["COUNT", "q", { "#p": [box] }]),
    as: "known",
  },
  "NEG-OPEN": {
    so: "full box",
    otherwise: "empty box",
    prepare: aboutBoxes((box) => ["NEG-OPEN", "q", { "#p": [box] }, "6100000200"]),
    as: "known",
  },
  ids: {
    so: "held for another",
    otherwise: "never heard of",
    async prepare(kinds) {
      const wraps = kinds.map((isSo) => ({ isSo, wrap: wrapFor(anyOf(recipients)) }));
      await publishAll(
        others,
        wraps.filter(({ isSo }) => isSo).map(({ wrap }) => wrap),
      );
      return wraps.map(({ isSo, wrap: { id } }) => ({
        isSo,
        said: ["REQ", "q", { ids: [id] }],
        id,
      }));
    },
    as: "known",
  },
};

async function tried({ prepare, as }: Question, trials: number): Promise<Trial[]> {
  const done: Trial[] = [];
  const asking = as === "door" ? door : as === "known" ? known : strangers;
  while (done.length < trials) {
    const kinds = Array.from(
      { length: Math.min(BATCH, trials - done.length) },
      () => randomInt(2) === 1,
    );
    for (const { isSo, said, id } of shuffled(await prepare(kinds))) {
      const bytes =
        as === "door" ? Buffer.from(JSON.stringify(said[1])) : frame(JSON.stringify(said));
      const { answer, micros } = await anyOf<Asking | Posting>(asking).ask(bytes);
      done.push({ isSo, answer: id === "" ? answer : answer.replace(id, "<id>"), micros });
    }
  }
  return done;
}

const { processor, cores, kernel, filesystem, node } = machine();
process.stdout.write(
  `${trials} trials each; ${processor}, ${cores} cores, ${kernel}, ${filesystem}, Node ${node}\n`,
);
for (const [name, question] of Object.entries(QUESTIONS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  process.stdout.write(`\n${name}\n${guessed(await tried(question, trials), question)}`);
}
const all = [others, strangers, known, door].flat();
await Promise.all(all.map((connection) => connection.close()));
await listening.terminate();
await relay.stop();
rmSync(folder, { recursive: true });
