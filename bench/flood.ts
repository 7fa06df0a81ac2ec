import { setTimeout as sleep } from "node:timers/promises";

import type { AttackName } from "./harness/attacks.ts";
import { prepareAttack } from "./harness/attack.ts";
import { owner } from "./harness/filled.ts";
import { EVERY_MS, Honest } from "./harness/honest.ts";
import { connectAll, giftWraps, percentile, publish } from "./harness/load.ts";
import type { How, Settings } from "./harness/relay.ts";
import type { Point, Scenario, Subject } from "./harness/scenario.ts";
import { Watch } from "./harness/watch.ts";
import { freePort, HOST } from "./peers/server.ts";

/** `attackMs`: of those attacks that never end. `limitMs`: how long answers and calm are waited for. */
const FULL = { quietMs: 5_000, attackMs: 10_000, limitMs: 40_000 };
const QUICK = { quietMs: 1_000, attackMs: 3_000, limitMs: 5_000 };
const WARM_UP_MS = 1_000;
/** How long the last answers may take. */
const PATIENCE_MS = 5_000;
const BOX_DROPS = 5_000;
// With the recipient's as many as a drop may have: what a filter by tag has to look through.
const TAGS = 99;
const FILLING = 64;

// Addresses for documentation (RFC 5737): the relay takes this machine for a proxy, and believes it.
const HONEST_ADDRESS = "198.51.100.1";
const attacker = (number: number): string => `203.0.113.${number + 1}`;
const BEHIND_PROXY = { DEADDROP_TRUSTED_PROXIES: HOST };

type Case = {
  readonly label: string;
  readonly attack: AttackName;
  readonly addresses: number;
  /** Whether the attackers have a full box of their own. */
  readonly hasBox: boolean;
};

const CASES: readonly Case[] = [
  { label: "pings, pongs never read", attack: "pings", addresses: 1, hasBox: false },
  { label: "60 × 55 COUNTs of a full box", attack: "counts", addresses: 1, hasBox: true },
  { label: "the COUNTs of 4 addresses", attack: "counts", addresses: 4, hasBox: true },
  { label: "8 REQs of 20 filters, a full box", attack: "searches", addresses: 1, hasBox: true },
  { label: "REQ {} of a full box, repeated", attack: "pickups", addresses: 1, hasBox: true },
  { label: "messages of a byte", attack: "bytes", addresses: 1, hasBox: false },
  { label: "128 KB of [", attack: "brackets", addresses: 1, hasBox: false },
  { label: "64 × 32 REQs of 128 KB", attack: "filters", addresses: 1, hasBox: false },
  { label: "those REQs of 2 addresses", attack: "filters", addresses: 2, hasBox: false },
  { label: "live: 60 KB to 62 × 32 REQs", attack: "amplification", addresses: 1, hasBox: false },
  { label: "a full box to 64 that never read", attack: "unread", addresses: 1, hasBox: true },
];
const QUICK_CASES = CASES.filter(({ attack }) => ["pings", "bytes", "unread"].includes(attack));

/** A transport, and a number of event loops. */
type Place = { readonly label: string; readonly settings: Settings; readonly how: How };

const uwsNode = process.env["DEADDROP_UWS_NODE"];
const hasUws = uwsNode !== undefined && process.env["DEADDROP_UWS"] !== undefined;
const USUAL: Place = { label: "", settings: {}, how: {} };
const TWO_LOOPS = { DEADDROP_WORKERS: "2" };
const UWS = { DEADDROP_TRANSPORT: "uws" };

function placesEverywhere(): Place[] {
  const places = [USUAL, { ...USUAL, label: ", 2 loops", settings: TWO_LOOPS }];
  if (!hasUws) return places;
  const how = { node: uwsNode };
  places.push({ label: ", uws", settings: UWS, how });
  places.push({ label: ", uws, 2 loops", settings: { ...UWS, ...TWO_LOOPS }, how });
  return places;
}

type Row = { readonly point: Point; readonly case: Case; readonly place: Place };

function rows(quick: boolean, everywhere: boolean): Row[] {
  const places = everywhere ? placesEverywhere() : [USUAL];
  const cases = quick ? QUICK_CASES : CASES;
  return cases.flatMap((one) =>
    places.map((place, at) => ({
      point: { label: one.label + place.label, x: at },
      case: one,
      place,
    })),
  );
}

export const scenario: Scenario = {
  name: "flood",
  title: "What an honest client feels while others attack the relay with its default limits",
  columns: [
    { key: "okP50Ms", head: "drop to OK under attack, p50, ms", digits: 1, better: "lower" },
    { key: "okP95Ms", head: "p95, ms", digits: 1, better: "lower" },
    { key: "arrivedP50Ms", head: "to its recipient, p50, ms", digits: 1, better: "lower" },
    { key: "arrivedP95Ms", head: "p95, ms", digits: 1, better: "lower" },
    { key: "cpuPercent", head: "relay CPU, % of a core", digits: 0, better: "lower" },
    { key: "busySeconds", head: "over half a core for, s", digits: 1, better: "lower" },
    { key: "peakMb", head: "most memory, MB", digits: 0, better: "lower" },
    { key: "survived", head: "survived: 1", digits: 0, better: "context" },
    { key: "refused", head: "honest drops without OK", digits: 0, better: "context" },
    { key: "lost", head: "not delivered", digits: 0, better: "context" },
    { key: "quietP50Ms", head: "drop to OK before it, p50, ms", digits: 1, better: "context" },
    { key: "quietP95Ms", head: "p95, ms", digits: 1, better: "context" },
    { key: "seconds", head: "lasted, s", digits: 1, better: "context" },
    { key: "waitedPercent", head: "relay waited for a core, %", digits: 0, better: "context" },
    { key: "attackerPercent", head: "attackers' CPU, % of a core", digits: 0, better: "context" },
    { key: "sentMb", head: "they sent, MB", digits: 1, better: "context" },
    { key: "receivedMb", head: "and read, MB", digits: 1, better: "context" },
    { key: "connections", head: "connections", digits: 0, better: "context" },
    { key: "ended", head: "of which cut off", digits: 0, better: "context" },
  ],
  points: (quick, everywhere) => rows(quick, everywhere).map(({ point }) => point),
  note:
    `The honest client drops ${1_000 / EVERY_MS} gift wraps a second over four connections; one that is never answered counts as long as it was waited for. \
An attack is over when everything was answered, or after ${FULL.attackMs / 1_000} s (where there are answers to wait for: ${FULL.limitMs / 1_000} s), and the honest \
client is measured until the relay is calm again. Attackers are a process of their own on the same cores, and come back when they are cut off where they need \
no key. A full box is ${BOX_DROPS.toLocaleString("en-US")} drops of 9 KB with 100 tags each. Memory is RssAnon.` +
    (hasUws ? " uWebSockets.js runs under Node 20." : ""),
  peers: false,
  async measure(subject, run, { label }) {
    const row = rows(run.quick, true).find(({ point }) => point.label === label);
    if (row === undefined) throw new Error(`no attack ${label}`);
    const { settings, how } = row.place;
    const { quietMs, attackMs, limitMs } = run.quick ? QUICK : FULL;
    const folder = run.folder();
    if (row.case.hasBox) await fillBox(subject, folder);
    // Named, because uWebSockets.js lets several event loops share no port that the system chose.
    const relay = await subject.start(
      folder,
      { ...BEHIND_PROXY, ...settings, DEADDROP_LISTEN: `${HOST}:${await freePort()}` },
      { ...how, isHurried: true },
    );
    const attack = await prepareAttack({
      attack: row.case.attack,
      url: relay.url,
      addresses: Array.from({ length: row.case.addresses }, (_, at) => attacker(at)),
      attackMs,
      limitMs,
    });
    const longestMs = WARM_UP_MS + quietMs + attackMs + 2 * limitMs + PATIENCE_MS;
    const honest = await Honest.start(subject, relay.url, HONEST_ADDRESS, longestMs);
    await sleep(WARM_UP_MS);
    const quietFrom = performance.now();
    await sleep(quietMs);
    const quiet = await honest.felt(quietFrom, PATIENCE_MS);

    const watch = new Watch(relay.pid);
    const from = performance.now();
    const { cpuMs, sentBytes, receivedBytes, connections, ended } = await attack.go();
    const attackedMs = performance.now() - from;
    const { share, waited } = watch;
    await watch.calm(limitMs);
    const ms = performance.now() - from;
    const felt = await honest.felt(from, PATIENCE_MS);
    watch.stop();
    await honest.close();
    await relay.stop();
    return {
      okP50Ms: percentile(felt.okMs, 0.5),
      okP95Ms: percentile(felt.okMs, 0.95),
      arrivedP50Ms: percentile(felt.arrivedMs, 0.5),
      arrivedP95Ms: percentile(felt.arrivedMs, 0.95),
      cpuPercent: share * 100,
      waitedPercent: waited * 100,
      busySeconds: watch.busyMs / 1_000,
      peakMb: watch.peakBytes / 1e6,
      survived: watch.isAlive ? 1 : 0,
      refused: felt.refused,
      lost: felt.lost,
      quietP50Ms: percentile(quiet.okMs, 0.5),
      quietP95Ms: percentile(quiet.okMs, 0.95),
      seconds: ms / 1_000,
      attackerPercent: (cpuMs / attackedMs) * 100,
      sentMb: sentBytes / 1e6,
      receivedMb: receivedBytes / 1e6,
      connections,
      ended,
    };
  },
};

/** Has `folder` hold a full box for the attackers, put there by the relay that will be attacked: only it knows how it keeps drops. */
async function fillBox(subject: Subject, folder: string): Promise<void> {
  const relay = await subject.start(folder);
  const wires = await connectAll(relay.url, FILLING);
  const drops = giftWraps(BOX_DROPS, () => owner(0).pubkey, { tags: TAGS });
  const { refusal } = await publish(wires, drops, 1, relay.pid);
  if (refusal !== undefined) throw new Error(refusal);
  await Promise.all(wires.map((wire) => wire.close()));
  await relay.stop();
}
