// What the metrics tell, and what they do not.

import { describe, expect, it, vi } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, ephemeralWrap, giftWrap, vanishing } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";
import { metricsOf, pickup } from "./support.ts";

const METRICS = { DEADDROP_METRICS: "127.0.0.1:0" };
// So large that nothing that is counted in steps is, and nothing that is rounded is more than 0.
const NEVER = { DEADDROP_METRICS_STEP: String(10 ** 12) };

type Figures = ReadonlyMap<string, number>;

/** What grew or shrank, by how much. */
function moved(before: Figures, after: Figures): Map<string, number> {
  const others = [...after].filter(([name, value]) => !Object.is(value, before.get(name)));
  return new Map(others.map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
}

/** The same while something is done. */
async function whatMoves(
  relay: RelayProcess,
  does: () => Promise<unknown>,
): Promise<Map<string, number>> {
  const before = await metricsOf(relay);
  await does();
  return moved(before, await metricsOf(relay));
}

/** Waits until a figure is this. */
async function untilIs(relay: RelayProcess, name: string, value: number): Promise<void> {
  while ((await metricsOf(relay)).get(name) !== value);
}

// By themselves, or by what other processes of this machine do.
const BY_ITSELF =
  /^(?:process_|deaddrop_(?:event_loop_delay|sweep|disk_free|store_file|expired_drops|verification_queue$))/;

/** What somebody does who finds a box, in it these drops, on every way there is. */
async function pickUp(relay: RelayProcess, bob: Person, count: number): Promise<void> {
  const client = await Client.connect(relay.url);
  // Refused at first, as many libraries are.
  await client.request("box", {});
  await client.authenticate(bob);
  const held = await client.pickup({});
  expect(held).toHaveLength(count);
  await pickup(relay, bob);
  const acks = [
    acknowledgement(
      bob,
      held.slice(1).map((id) => ({ id })),
    ),
    acknowledgement(bob, [giftWrap({ to: bob })]),
    vanishing(bob),
  ];
  for (const ack of acks) expect((await client.publish(ack))[2]).toBe(true);
  client.socket.terminate();
  await client.closed;
}

describe("the metrics of a relay on which nothing happens but that somebody picks up and acknowledges", () => {
  const COUNT = 30;

  async function filled(env: Readonly<Record<string, string>>) {
    const before = await startRelay();
    const bob = person();
    const sender = await Client.connect(before.url);
    for (let n = 0; n < COUNT; n++) await sender.publish(giftWrap({ to: bob }));
    await before.stop();
    const relay = await startRelay({ data: before.data, env: { ...METRICS, ...env } });
    // What is held was counted.
    while (Number.isNaN((await metricsOf(relay)).get("deaddrop_oldest_drop_timestamp_seconds")));
    return { relay, bob };
  }

  it.each(["1", "2"])("stand still, with event loops: %s", async (workers) => {
    const { relay, bob } = await filled({ ...NEVER, DEADDROP_WORKERS: workers });
    const changes = await whatMoves(relay, async () => {
      await pickUp(relay, bob, COUNT);
      // Whatever an event loop has to tell of it, it has told once it tells of this.
      const sender = await Client.connect(relay.url);
      await sender.publish(ephemeralWrap({ to: bob }));
      const passedOn = 'deaddrop_drops_total{outcome="passed_on",class=""}';
      await untilIs(relay, passedOn, 1);
    });
    const names = [...changes.keys()].filter((name) => !BY_ITSELF.test(name));
    expect(names).toEqual(['deaddrop_drops_total{outcome="passed_on",class=""}']);
  });

  it("would tell of it in many ways if they were shown as they are", async () => {
    const { relay, bob } = await filled({});
    const changes = await whatMoves(relay, () => pickUp(relay, bob, COUNT));
    expect(Object.fromEntries(changes)).toMatchObject({
      deaddrop_pickups_total: 2,
      'deaddrop_drops_sent_total{how="held"}': 2 * COUNT,
      'deaddrop_acknowledgements_total{outcome="done"}': 2,
      'deaddrop_vanishes_total{outcome="done"}': 1,
      deaddrop_keys_authenticated_total: 2,
      deaddrop_connections_opened_total: 1,
      deaddrop_drops_held: -COUNT,
      deaddrop_tombstones: COUNT + 2,
    });
    // What is exact is not among it, whatever is shown.
    const exact =
      /^deaddrop_(?:drops_total|connections_refused|verification_seconds|commit_|commits_|damaged)/;
    expect([...changes.keys()].filter((name) => exact.test(name))).toEqual([]);
  });
});

function drops(outcome: string, of = ""): string {
  return `deaddrop_drops_total{outcome="${outcome}",class="${of}"}`;
}

describe("the metrics", () => {
  const LIMIT = 3;
  const relay = sharedRelay({
    env: {
      ...METRICS,
      DEADDROP_LIMITS_BOX_DROPS: String(LIMIT),
      DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "2",
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
    },
  });
  it("tell drops apart by what became of them", async () => {
    const bob = person();
    const sender = await Client.connect(relay().url);
    const held = Array.from({ length: LIMIT }, () => giftWrap({ to: bob }));
    const changes = await whatMoves(relay(), async () => {
      for (const drop of held) await sender.publish(drop);
      await sender.publish(held[0]!);
      await sender.publish(ephemeralWrap({ to: bob }));
      await sender.publish(giftWrap({ to: bob }));
      await sender.publish({ ...giftWrap({ to: bob }), sig: "00".repeat(64) });
      await sender.publish({ ...giftWrap({ to: bob }), kind: 1 });
    });
    expect(Object.fromEntries(changes)).toMatchObject({
      [drops("stored")]: LIMIT,
      [drops("known")]: 1,
      [drops("passed_on")]: 1,
      [drops("refused", "mailbox_full")]: 1,
      [drops("refused", "invalid")]: 1,
      [drops("refused", "blocked")]: 1,
      // Of the one that was too many, too: it was examined, and came to the writer.
      deaddrop_verification_seconds_count: LIMIT + 1,
      deaddrop_commit_drops_sum: LIMIT + 1,
      deaddrop_drops_held: LIMIT,
    });
  });

  it("tell what was refused that was no drop by the class of the refusal", async () => {
    const client = await Client.connect(relay().url);
    const changes = await whatMoves(relay(), async () => {
      client.say("REQ", "box", 5);
      await client.hear();
      client.sayRaw(Buffer.from("binary"));
      await client.hear();
    });
    expect(Object.fromEntries(changes)).toMatchObject({
      'deaddrop_requests_refused_total{class="invalid"}': 1,
      'deaddrop_requests_refused_total{class="unsupported"}': 1,
    });
  });

  it("tell refused connections apart by why, and so does the log", async () => {
    const own = await startRelay({
      env: { ...METRICS, DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "1" },
    });
    await Client.connect(own.url);
    const changes = await whatMoves(own, async () => {
      for (let n = 0; n < 3; n++) expect((await fetch(own.http)).status).toBe(429);
    });
    const reason = 'deaddrop_connections_refused_total{reason="too_many_from_its_address"}';
    expect(changes.get(reason)).toBe(3);
    expect(await own.stop()).toBe(0);
    const said = own.log.filter(({ msg }) => msg === "connections refused");
    expect(said).toMatchObject([{ why: "too many from its address", times: 3 }]);
  });

  it("tell how many boxes there are, what is in them, and how old the oldest drop is", async () => {
    const env = { ...METRICS, DEADDROP_METRICS_STEP: "1" };
    const before = await startRelay({ env });
    const people = [person(), person(), person()];
    const oldest = Math.floor(Date.now() / 1_000) - 100_000;
    const sent = people.flatMap((to, n) => [
      giftWrap({ to, created_at: oldest + n }),
      giftWrap({ to }),
    ]);
    const sender = await Client.connect(before.url);
    for (const drop of sent) await sender.publish(drop);
    const bytes = sent.reduce((sum, drop) => sum + JSON.stringify(drop).length, 0);
    const counted = async (relay: RelayProcess): Promise<unknown> => {
      await untilIs(relay, "deaddrop_boxes", people.length);
      const figures = await metricsOf(relay);
      return ["deaddrop_held_bytes", "deaddrop_oldest_drop_timestamp_seconds"].map((name) =>
        figures.get(name),
      );
    };
    // Counted anew until nothing more comes.
    await vi.waitFor(async () => expect(await counted(before)).toEqual([bytes, oldest]), 10_000);
    await before.stop();
    // From the disk.
    const after = await startRelay({ data: before.data, env });
    expect(await counted(after)).toEqual([bytes, oldest]);
  });

  it("are of all event loops together", async () => {
    const own = await startRelay({
      env: { ...METRICS, DEADDROP_WORKERS: "2", DEADDROP_VERIFIERS: "2" },
    });
    const clients = await Promise.all(Array.from({ length: 8 }, () => Client.connect(own.url)));
    const bob = person();
    for (const client of clients) {
      expect((await client.publish(giftWrap({ to: bob })))[2]).toBe(true);
    }
    await untilIs(own, drops("stored"), clients.length);
    await untilIs(own, "deaddrop_connections", clients.length);
    const figures = await metricsOf(own);
    expect(figures.get("deaddrop_verification_seconds_count")).toBe(clients.length);
    expect(figures.get("deaddrop_commit_drops_sum")).toBe(clients.length);
    expect(figures.get("deaddrop_verification_threads")).toBe(2);
    expect(figures.get("deaddrop_connections_opened_total")).toBe(clients.length);
  });
});
