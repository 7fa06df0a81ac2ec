import { fill, owner } from "./harness/filled.ts";
import { median, publish } from "./harness/load.ts";
import type { Scenario } from "./harness/scenario.ts";
import { idsIn, prepareAcknowledgement, signInAll } from "./harness/session.ts";

const BOX_DROPS = 5_000;
const IDS = 1_000;
const FULL = { boxes: 8, others: 100_000 };
const QUICK = { boxes: 2, others: 1_000 };
const DROPS_A_BOX = 100;

export const scenario: Scenario = {
  name: "acknowledge",
  title: "Acknowledgement of 1,000 drops in one event, every fifth of a box of 5,000",
  columns: [
    { key: "okMs", head: "sent to OK, median, ms", digits: 1, better: "lower" },
    { key: "mostMs", head: "most, ms", digits: 1, better: "lower" },
    { key: "serverMicros", head: "server CPU, µs per id", digits: 1, better: "lower" },
    { key: "acknowledgements", head: "acknowledgements", digits: 0, better: "context" },
  ],
  target: "≤ 30 ms",
  note: "Each box is acknowledged from once, when it is full. One more acknowledgement came before, as a warm-up.",
  peers: false,
  async measure(subject, run) {
    const { boxes, others } = run.quick ? QUICK : FULL;
    const folder = run.folder();
    await fill(folder, {
      held: others,
      boxes: others / DROPS_A_BOX,
      owned: { boxes: boxes + 1, drops: BOX_DROPS },
    });
    const relay = await subject.start(folder);
    const owners = Array.from({ length: boxes + 1 }, (_, at) => owner(at));
    const sessions = await signInAll(subject, relay.url, owners);

    const samples = [];
    for (const session of sessions) {
      const ids = await idsIn(session);
      if (ids.length !== BOX_DROPS) throw new Error(`${ids.length} drops in a box of ${BOX_DROPS}`);
      const some = ids.filter((_, at) => at % (BOX_DROPS / IDS) === 0);
      const prepared = [prepareAcknowledgement(session.who, some)];
      const { refusal, ...sample } = await publish([session.wire], prepared, 1, relay.pid);
      if (refusal !== undefined) throw new Error(refusal);
      samples.push(sample);
      await session.wire.close();
    }
    const [, ...measured] = samples;
    await relay.stop();
    return {
      okMs: median(measured.map(({ p50Ms }) => p50Ms)),
      mostMs: Math.max(...measured.map(({ p50Ms }) => p50Ms)),
      serverMicros: median(measured.map(({ serverMicros }) => serverMicros)) / IDS,
      acknowledgements: measured.length,
    };
  },
};
