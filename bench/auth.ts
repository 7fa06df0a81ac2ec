import { auth, type Person, person } from "./harness/events.ts";
import { median, type Prepared, publish } from "./harness/load.ts";
import type { Scenario } from "./harness/scenario.ts";
import { ASK_FOR_CHALLENGE } from "./harness/session.ts";
import { frame, Wire } from "./harness/wire.ts";

const KEYS = 1_000;
const WARM_UPS = 2;
const CONNECTIONS = 7;
const QUICK_CONNECTIONS = 3;

export const scenario: Scenario = {
  name: "auth",
  title: "1,000 keys authenticated on one connection, sent at once",
  columns: [
    { key: "lastMs", head: "sent to last OK, median, ms", digits: 1, better: "lower" },
    { key: "mostMs", head: "most, ms", digits: 1, better: "lower" },
    { key: "serverMicros", head: "server CPU, µs per AUTH", digits: 1, better: "lower" },
    { key: "connections", head: "connections, one by one", digits: 0, better: "context" },
  ],
  target: "under 150 ms",
  note: `Each connection on its own, ${WARM_UPS} before as a warm-up. limits.inbox is raised to ${KEYS}: by default a client sends 256 and then waits.`,
  peers: false,
  async measure(subject, run) {
    const relay = await subject.start(run.folder(), { DEADDROP_LIMITS_INBOX: String(KEYS) });
    const people = Array.from({ length: KEYS }, () => person());
    const connections = run.quick ? QUICK_CONNECTIONS : CONNECTIONS;
    const samples = [];
    for (let connection = 0; connection < connections + WARM_UPS; connection += 1) {
      const { promise, resolve } = Promise.withResolvers<string>();
      const wire = await Wire.connect(relay.url, (buffer, start, end) => {
        resolve((JSON.parse(buffer.toString("utf8", start, end)) as [string, string])[1]);
      });
      wire.send(ASK_FOR_CHALLENGE);
      const auths = prepare(people, await promise, relay.url);
      const { refusal, ...sample } = await publish([wire], auths, KEYS, relay.pid);
      if (refusal !== undefined) throw new Error(refusal);
      samples.push(sample);
      await wire.close();
    }
    const measured = samples.slice(WARM_UPS);
    const lastMs = measured.map(({ perSecond }) => (KEYS / perSecond) * 1_000);
    await relay.stop();
    return {
      lastMs: median(lastMs),
      mostMs: Math.max(...lastMs),
      serverMicros: median(measured.map(({ serverMicros }) => serverMicros)),
      connections,
    };
  },
};

function prepare(people: readonly Person[], challenge: string, url: string): Prepared[] {
  return people.map((who) => {
    const event = auth(who, challenge, url);
    return { id: event.id, frame: frame(JSON.stringify(["AUTH", event])) };
  });
}
