// What is asked under wrong clocks: the store alone, with the rules by which drops are let in and shown; and a relay, in all its threads.

import { spawnSync } from "node:child_process";
import { setTimeout as after } from "node:timers/promises";

import type { NostrEvent } from "nostr-tools";

import { type Drop, expiryOf, untimely } from "../../src/nostr/drop.ts";
import { writeEvent } from "../../src/nostr/event.ts";
import { openLmdbStore, type OpenedStore } from "../../src/store/lmdb.ts";
import { Client } from "../support/client.ts";
import { LIMITS, type ShiftedClock, TestClock } from "../support/clock.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { hex, sweepAll } from "../store/contract.ts";
import { PEOPLE, type Subject } from "./clock-model.ts";

const DUPLICATE = "duplicate: already have this event";

export class StoreSubject implements Subject<NostrEvent> {
  readonly #folder: string;
  readonly #retention: number;
  #machine: TestClock;
  #opened: OpenedStore;
  readonly #written = new Map<string, NostrEvent>();

  private constructor(folder: string, retention: number, machine: TestClock, opened: OpenedStore) {
    this.#folder = folder;
    this.#retention = retention;
    this.#machine = machine;
    this.#opened = opened;
  }

  static async open(folder: string, retention: number, now: number): Promise<StoreSubject> {
    const machine = new TestClock(now);
    const opened = await openLmdbStore(settings(folder, retention), machine);
    return new StoreSubject(folder, retention, machine, opened);
  }

  now(): number {
    return this.#machine.now();
  }

  monotonic(): number {
    return this.#machine.monotonic();
  }

  async passes(seconds: number): Promise<void> {
    this.#machine.passes(seconds);
    await this.isBelieved();
  }

  async isMoved(seconds: number): Promise<void> {
    this.#machine.isSet(seconds);
    await this.isBelieved();
  }

  async restarts(seconds: number): Promise<void> {
    await this.close();
    this.#machine = new TestClock(this.#machine.now() + seconds);
    this.#opened = await openLmdbStore(settings(this.#folder, this.#retention), this.#machine);
  }

  write(to: number, created_at: number, expiration: number | undefined): NostrEvent {
    const number = this.#written.size;
    const tags = [["p", hex(`person ${to}`)]];
    if (expiration !== undefined) tags.push(["expiration", String(expiration)]);
    const id = hex(`event ${number}`);
    const pubkey = hex(`throw-away key ${number}`);
    const sig = "0".repeat(128);
    const event = { id, pubkey, created_at, kind: 1059, tags, content: "", sig };
    this.#written.set(id.slice(0, 32), event);
    return event;
  }

  async publish(event: NostrEvent): Promise<string> {
    const { store, rule, clock } = this.#opened;
    const { id, pubkey: author, created_at, kind, tags } = event;
    const expiry = expiryOf(event, rule) as number;
    const reason = untimely(created_at, expiry, Math.max(this.now(), clock.lastSweep));
    if (reason !== undefined) return reason;
    const recipient = tags[0]?.[1] ?? "";
    const json = writeEvent(event).json;
    const drop: Drop = { id, recipient, author, created_at, kind, expiry, json };
    const outcome = await store.put(drop, this.now());
    if (outcome === "stored") return "";
    return outcome === "known" ? DUPLICATE : outcome;
  }

  async acknowledge(to: number, { id }: NostrEvent, at: number | undefined): Promise<string> {
    const signer = hex(`person ${to}`);
    const { store } = this.#opened;
    const asked = { signer, ids: [id], at: at ?? this.now(), deletion: false };
    // Without an end of its grace it goes at once, whatever the clock says.
    const acknowledged = at === undefined ? { ...asked, at: undefined } : asked;
    const outcome = await store.acknowledge(acknowledged, this.now());
    return outcome === "done" ? "" : outcome;
  }

  async picksUp(to: number): Promise<NostrEvent[]> {
    const headers = await this.#opened.store.list(hex(`person ${to}`), {}, 1_000);
    return headers
      .filter(({ expiry }) => expiry > this.now())
      .map(({ idPrefix }) => this.#written.get(idPrefix)!);
  }

  async sweep(): Promise<void> {
    for (const of of ["drops", "tombstones"] as const) {
      await sweepAll(this.#opened.store, of, this.now());
    }
  }

  async confirm(): Promise<void> {
    await this.#opened.confirmClock();
  }

  async drops(): Promise<number> {
    return this.#opened.store.totals().drops;
  }

  async isBelieved(): Promise<boolean> {
    return this.#opened.clock.doubt === undefined;
  }

  close(): Promise<void> {
    return this.#opened.store.close();
  }
}

function settings(folder: string, retentionSeconds: number) {
  return { folder, retentionSeconds, diskReserveBytes: 0, limits: LIMITS, recentDrops: 4 };
}

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const SWEPT = "deaddrop_sweeps_total";

export type RelaySettings = {
  readonly data: string;
  readonly retention: number;
  readonly clock: ShiftedClock;
  readonly env: Readonly<Record<string, string>>;
};

export class RelaySubject implements Subject<NostrEvent> {
  readonly #settings: RelaySettings;
  readonly #people = Array.from({ length: PEOPLE }, () => person());
  readonly #written = new Map<string, NostrEvent>();
  #relay: RelayProcess;
  #sender: Client | undefined;

  private constructor(settings: RelaySettings, relay: RelayProcess) {
    this.#settings = settings;
    this.#relay = relay;
  }

  static async open(settings: RelaySettings): Promise<RelaySubject> {
    return new RelaySubject(settings, await started(settings, ""));
  }

  now(): number {
    return this.#settings.clock.now();
  }

  monotonic(): number {
    return this.#settings.clock.monotonic();
  }

  async passes(seconds: number): Promise<void> {
    this.#settings.clock.passes(seconds);
    await this.isBelieved();
  }

  async isMoved(seconds: number): Promise<void> {
    this.#settings.clock.isMoved(seconds);
    await this.isBelieved();
  }

  async restarts(seconds: number, zone: string): Promise<void> {
    this.#sender = undefined;
    const code = await this.#relay.stop();
    if (code !== 0) throw new Error(`the relay ended with ${code}`);
    this.#settings.clock.isMoved(seconds);
    this.#relay = await started(this.#settings, zone);
  }

  write(to: number, created_at: number, expiration: number | undefined): NostrEvent {
    const tags = expiration === undefined ? [] : [["expiration", String(expiration)]];
    const event = giftWrap({ to: this.#people[to]!, created_at, tags });
    this.#written.set(event.id, event);
    return event;
  }

  async publish(event: NostrEvent): Promise<string> {
    const sender = (this.#sender ??= await Client.connect(this.#relay.url));
    const [, , , reason] = await sender.publish(event);
    return reason as string;
  }

  acknowledge(to: number, event: NostrEvent, at: number | undefined): Promise<string> {
    return this.publish(acknowledgement(this.#people[to]!, [event], at, this.now()));
  }

  async picksUp(to: number): Promise<NostrEvent[]> {
    const owner = this.#people[to]!;
    const client = await (await Client.connect(this.#relay.url)).asked();
    const auth = client.authEvent(owner, { created_at: this.now() });
    client.say("AUTH", auth);
    const [, , isBelieved, reason] = await client.hear();
    if (isBelieved !== true) throw new Error(`AUTH is answered ${String(reason)}`);
    const ids = await client.pickup({});
    const [, , { count }] = (await client.count({})) as unknown as [
      string,
      string,
      { count: number },
    ];
    if (count !== ids.length) throw new Error(`COUNT says ${count}, and ${ids.length} are shown`);
    client.end();
    return ids.map((id) => this.#written.get(id)!);
  }

  async sweep(): Promise<void> {
    for (const before = await this.#metric(SWEPT); (await this.#metric(SWEPT)) < before + 2;) {
      await after(50);
    }
  }

  async confirm(): Promise<void> {
    const { data, clock } = this.#settings;
    const env = { PATH: process.env["PATH"], DEADDROP_DATA: data, ...clock.env };
    const { status, stderr } = spawnSync(process.execPath, [MAIN, "clock", "confirm"], {
      env,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`clock confirm ended with ${status}: ${stderr}`);
  }

  drops(): Promise<number> {
    return this.#metric("deaddrop_drops_held");
  }

  async isBelieved(): Promise<boolean> {
    return (await this.#metric("deaddrop_clock_believed")) === 1;
  }

  /** What was logged as an error. */
  get errors(): readonly unknown[] {
    return this.#relay.log.filter(({ level }) => Number(level) >= 50);
  }

  async close(): Promise<void> {
    await this.#relay.kill();
  }

  async #metric(name: string): Promise<number> {
    const text = await (await fetch(this.#relay.metrics ?? "")).text();
    const line = text.split("\n").find((each) => each.startsWith(`${name} `));
    return Number(line?.slice(name.length) ?? 0);
  }
}

function started(
  { data, retention, clock, env }: RelaySettings,
  TZ: string,
): Promise<RelayProcess> {
  return startRelay({
    data,
    env: {
      ...clock.env,
      ...env,
      TZ,
      DEADDROP_RETENTION: `${retention}s`,
      DEADDROP_SWEEP_SECONDS: "1s",
      DEADDROP_METRICS: "127.0.0.1:0",
    },
  });
}
