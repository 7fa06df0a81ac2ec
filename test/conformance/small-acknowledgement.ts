import type { NostrEvent } from "../../src/nostr/event.ts";
import type { Fault } from "./fault.ts";

/** The values of an event's tags with this name. */
export function valuesOf({ tags }: NostrEvent, wanted: string): readonly string[] {
  return tags.filter(([name]) => name === wanted).map(([, value = ""]) => value);
}

/** Why a kind 20221 or 5 is none that a small relay takes, or undefined. */
export function malformed(
  event: NostrEvent,
  maxIds: number,
  faults: ReadonlySet<Fault>,
): string | undefined {
  const areGraces = valuesOf(event, "grace").every((time) => /^\d+$/.test(time));
  if (!areGraces && !faults.has("reads a malformed grace as none")) {
    return "invalid: malformed grace";
  }
  const ids = valuesOf(event, "e");
  if (faults.has("accepts a malformed acknowledgement")) return undefined;
  if (ids.length > maxIds) return "invalid: too many ids";
  if (event.kind === 5) return undefined;
  const areIds = ids.length > 0 && ids.every((id) => /^[0-9a-f]{64}$/.test(id));
  return areIds ? undefined : "invalid: malformed acknowledgement";
}
