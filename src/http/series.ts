// Under which names what was counted and measured is shown: one name a thing, what differs within it as labels. docs/METRICS.md says what each means.

import type { Counted, Measured, Refused } from "../relay/observer.ts";
import { REFUSAL_CLASSES } from "../relay/refusal-class.ts";
import type { Labels } from "./exposition.ts";

type CounterName = keyof typeof COUNTERS;

/** The counters, with what they say. */
export const COUNTERS = {
  deaddrop_drops_total:
    "Drops that came, by what became of them, and of those refused by the class of the refusal.",
  deaddrop_requests_refused_total:
    "Messages and requests refused that were no drop, by the class of the refusal.",
  deaddrop_pickups_total: "Boxes read.",
  deaddrop_drops_sent_total: "Drops sent to their recipients.",
  deaddrop_acknowledgements_total: "Acknowledgements and deletions, by what became of them.",
  deaddrop_vanishes_total: "Requests to vanish, by what became of them.",
  deaddrop_keys_authenticated_total: "Keys proven by AUTH or an Authorization header.",
  deaddrop_connections_opened_total: "WebSockets opened.",
  deaddrop_connections_refused_total: "WebSockets and HTTP requests not let in, by why.",
  deaddrop_connections_cut_off_total: "Connections ended, by what their peer did.",
  deaddrop_drops_expired_total: "Drops taken off the disk because they were past.",
  deaddrop_tombstones_expired_total: "Acknowledgements forgotten because their drops were past.",
  deaddrop_damaged_records_total: "Times that a damaged record of the store was met.",
  deaddrop_commits_failed_total: "Commits that failed because the disk took no more.",
  deaddrop_verification_threads_lost_total:
    "Verification threads that ended or hung, and were replaced.",
  deaddrop_sweeps_total: "Sweeps that came to their end.",
};

type Place = readonly [name: CounterName, labels: Labels];

/** The series of everything that is counted. */
export const SERIES: Readonly<Record<Counted, Place>> = {
  "drop stored": drops("stored"),
  "drop known": drops("known"),
  "drop passed on": drops("passed_on"),
  ...refused("drop", (of) => ["deaddrop_drops_total", { outcome: "refused", class: of }]),
  ...refused("request", (of) => ["deaddrop_requests_refused_total", { class: of }]),
  pickup: ["deaddrop_pickups_total", {}],
  "drop picked up": ["deaddrop_drops_sent_total", { how: "held" }],
  "drop delivered live": ["deaddrop_drops_sent_total", { how: "live" }],
  "acknowledgement: done": ["deaddrop_acknowledgements_total", { outcome: "done" }],
  "acknowledgement: too many early": [
    "deaddrop_acknowledgements_total",
    { outcome: "too_many_early" },
  ],
  "acknowledgement: storage full": ["deaddrop_acknowledgements_total", { outcome: "storage_full" }],
  "acknowledgement: failed": ["deaddrop_acknowledgements_total", { outcome: "failed" }],
  "vanish: done": ["deaddrop_vanishes_total", { outcome: "done" }],
  "vanish: storage full": ["deaddrop_vanishes_total", { outcome: "storage_full" }],
  "vanish: failed": ["deaddrop_vanishes_total", { outcome: "failed" }],
  "key authenticated": ["deaddrop_keys_authenticated_total", {}],
  "connection opened": ["deaddrop_connections_opened_total", {}],
  "connection refused: too many in all": turnedAway("too_many_in_all"),
  "connection refused: too many from its address": turnedAway("too_many_from_its_address"),
  "connection refused: does not slow down": turnedAway("does_not_slow_down"),
  "connection refused: is blocked": turnedAway("is_blocked"),
  "connection cut off: does not read": cutOff("does_not_read"),
  "connection cut off: does not slow down": cutOff("does_not_slow_down"),
  "connection cut off: has too much sent to it twice": cutOff("has_too_much_sent_to_it_twice"),
  "connection cut off: is blocked": cutOff("is_blocked"),
  "drop expired": ["deaddrop_drops_expired_total", {}],
  "tombstone expired": ["deaddrop_tombstones_expired_total", {}],
  "record damaged": ["deaddrop_damaged_records_total", {}],
  "commit failed": ["deaddrop_commits_failed_total", {}],
  "verification thread lost": ["deaddrop_verification_threads_lost_total", {}],
  sweep: ["deaddrop_sweeps_total", {}],
};

/** The histograms, by what they are of. */
export const HISTOGRAMS: Readonly<Record<Measured, readonly [name: string, help: string]>> = {
  verification: [
    "deaddrop_verification_seconds",
    "From a drop's arrival to the end of its examination, most of which is waiting for a thread.",
  ],
  commit: ["deaddrop_commit_seconds", "Commits of drops, with their flush."],
  "commit drops": ["deaddrop_commit_drops", "Drops that shared a commit."],
  "event loop delay": [
    "deaddrop_event_loop_delay_seconds",
    "By how much an event loop was late, looked at twenty times a second. Less than 10 ms counts as 0.",
  ],
};

function drops(outcome: string): Place {
  return ["deaddrop_drops_total", { outcome, class: "" }];
}

function turnedAway(reason: string): Place {
  return ["deaddrop_connections_refused_total", { reason }];
}

function cutOff(reason: string): Place {
  return ["deaddrop_connections_cut_off_total", { reason }];
}

type RefusedKey<What extends Refused> = Extract<Counted, `${What} refused: ${string}`>;

function refused<What extends Refused>(
  what: What,
  place: (of: string) => Place,
): Record<RefusedKey<What>, Place> {
  const places = REFUSAL_CLASSES.map((of) => [
    `${what} refused: ${of}`,
    place(of.replaceAll(/[- ]/g, "_")),
  ]);
  return Object.fromEntries(places) as Record<RefusedKey<What>, Place>;
}
