import type { Totals } from "../store/store.ts";
import type { Verifier } from "../verify/verifier.ts";
import type { Gauge } from "./gauges.ts";

/** What the gauges are read from. Bytes, seconds. */
export type Watched = {
  readonly verifier: Pick<Verifier, "name" | "detail">;
  readonly version: string;
  readonly totals: () => Totals;
  /** What was counted of what is held; undefined before that was done once. `oldest` is a `created_at`. */
  readonly census: () =>
    | { readonly boxes: number; readonly bytes: number; readonly oldest: number | undefined }
    | undefined;
  /** Drops of days that are over, still on disk. */
  readonly expired: () => number;
  /** How long ago the last whole sweep began. */
  readonly sweepAge: () => number;
  /** Of all event loops together. */
  readonly load: () => {
    readonly connections: number;
    readonly verifying: number;
    readonly verifiers: number;
    readonly memoryBytes: number;
    readonly slowReaders: number;
  };
  readonly limits: () => {
    readonly connections: number;
    readonly verifying: number;
    readonly memory: number;
  };
  readonly disk: () => { readonly freeBytes: number; readonly reserveBytes: number };
  readonly isDiskFull: () => boolean;
  /** Why the clock is not believed, and for what it may not be. */
  readonly doubt: () => string | undefined;
  readonly doubts: readonly string[];
  readonly process: {
    /** Unix seconds. */
    readonly startedAt: number;
    readonly cpuSeconds: () => number;
    readonly memoryBytes: () => number;
  };
};

const EXACT = { seconds: 0, rounding: "exact" } as const;
const EACH_MINUTE = { seconds: 60, rounding: "things" } as const;
const BYTES_EACH_MINUTE = { seconds: 60, rounding: "bytes" } as const;
const EACH_HOUR = { seconds: 3_600, rounding: "things" } as const;
const BYTES_EACH_HOUR = { seconds: 3_600, rounding: "bytes" } as const;

/** The gauges, and how exactly each is shown. */
export function watching(watched: Watched): Gauge[] {
  const { totals, census, load, limits, disk, process, verifier, version } = watched;
  return [
    {
      name: "deaddrop_info",
      help: "1, with the version and what checks signatures.",
      ...EXACT,
      read: () => [[{ version, verifier: verifier.name, detail: verifier.detail }, 1]],
    },
    // --- what is held
    {
      name: "deaddrop_drops_held",
      help: "Drops that are held.",
      ...EACH_HOUR,
      read: () => totals().drops,
    },
    {
      name: "deaddrop_held_bytes",
      help: "What the drops that are held take as JSON.",
      ...BYTES_EACH_HOUR,
      read: () => census()?.bytes,
    },
    {
      name: "deaddrop_boxes",
      help: "Recipients for whom something is held.",
      ...EACH_HOUR,
      read: () => census()?.boxes,
    },
    {
      name: "deaddrop_oldest_drop_timestamp_seconds",
      help: "The earliest created_at of a drop that is held.",
      seconds: 3_600,
      rounding: "hours",
      read: () => census()?.oldest,
    },
    {
      name: "deaddrop_tombstones",
      help: "Acknowledgements remembered.",
      ...EACH_HOUR,
      read: () => totals().tombstones,
    },
    // --- the store and its disk
    {
      name: "deaddrop_store_file_bytes",
      help: "The size of the store's file.",
      ...BYTES_EACH_MINUTE,
      read: () => totals().fileBytes,
    },
    {
      name: "deaddrop_store_free_bytes",
      help: "The part of the file that is written over before it grows.",
      ...BYTES_EACH_HOUR,
      read: () => totals().freeBytes,
    },
    {
      name: "deaddrop_disk_free_bytes",
      help: "What the disk of the store has free.",
      ...BYTES_EACH_MINUTE,
      read: () => disk().freeBytes,
    },
    {
      name: "deaddrop_disk_reserve_bytes",
      help: "limits.diskReserveBytes: below so much free disk drops are refused.",
      ...EXACT,
      read: () => disk().reserveBytes,
    },
    {
      name: "deaddrop_drops_refused_for_disk",
      help: "1 while new drops are refused because the disk is full.",
      ...EXACT,
      read: () => (watched.isDiskFull() ? 1 : 0),
    },
    // --- time
    {
      name: "deaddrop_expired_drops",
      help: "Drops of days that are over, still on disk, counted up to 10,000.",
      ...EACH_MINUTE,
      read: () => watched.expired(),
    },
    {
      name: "deaddrop_sweep_age_seconds",
      help: "How long ago the last whole sweep of what is past began.",
      ...EXACT,
      read: () => watched.sweepAge(),
    },
    {
      name: "deaddrop_clock_believed",
      help: "0 while nothing more is deleted for being past, because the clock may be wrong.",
      ...EXACT,
      read: () => (watched.doubt() === undefined ? 1 : 0),
    },
    {
      name: "deaddrop_clock_doubt",
      help: "1 for why the clock is not believed.",
      ...EXACT,
      read: () => {
        const now = watched.doubt();
        return watched.doubts.map((why) => [{ why }, why === now ? 1 : 0]);
      },
    },
    // --- what is in use of what is limited
    {
      name: "deaddrop_connections",
      help: "Open WebSockets, and HTTP requests that are being answered.",
      ...EACH_MINUTE,
      read: () => load().connections,
    },
    {
      name: "deaddrop_connections_limit",
      help: "limits.connections, or as many as the process has file descriptors for.",
      ...EXACT,
      read: () => limits().connections,
    },
    {
      name: "deaddrop_verification_queue",
      help: "Events that wait for their examination.",
      ...EACH_MINUTE,
      read: () => load().verifying,
    },
    {
      name: "deaddrop_verification_queue_limit",
      help: "limits.verifying: when so many wait, events are refused as too many.",
      ...EXACT,
      read: () => limits().verifying,
    },
    {
      name: "deaddrop_verification_threads",
      help: "Verification threads that run.",
      ...EXACT,
      read: () => load().verifiers,
    },
    {
      name: "deaddrop_memory_kept_bytes",
      help: "What clients have the relay keep in memory: filters, messages that wait, what they were sent and have not read.",
      ...BYTES_EACH_MINUTE,
      read: () => load().memoryBytes,
    },
    {
      name: "deaddrop_memory_limit_bytes",
      help: "limits.memory.",
      ...EXACT,
      read: () => limits().memory,
    },
    {
      name: "deaddrop_slow_readers",
      help: "Connections and requests to which no more is sent until they have read what was.",
      ...EACH_MINUTE,
      read: () => load().slowReaders,
    },
    // --- the process, under the names that all programs have for it
    {
      name: "process_start_time_seconds",
      help: "When the process began.",
      ...EXACT,
      read: () => process.startedAt,
    },
    {
      name: "process_cpu_seconds_total",
      help: "Processor time of all its threads.",
      type: "counter",
      seconds: 60,
      rounding: "seconds",
      read: () => process.cpuSeconds(),
    },
    {
      name: "process_resident_memory_bytes",
      help: "Its memory.",
      ...BYTES_EACH_MINUTE,
      read: () => process.memoryBytes(),
    },
  ];
}
