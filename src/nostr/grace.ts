import { parseUnixTime, type Refused } from "./drop.ts";
import type { NostrEvent } from "./event.ts";
import { ACKNOWLEDGEMENT } from "./kinds.ts";

/** The tag of an acknowledgement with the second at which the drops go (NIP-DD). */
export const GRACE = "grace";
// What a kind 20221 said it with before; in a kind 5 that is the event's own expiration (NIP-40).
const FORMER_GRACE = "expiration";

/** When the drops that an acknowledgement names are to go, Unix seconds: the earliest of several times. Undefined: now; or why its grace cannot be read. */
export function graceIn({ kind, tags }: NostrEvent): number | Refused | undefined {
  let at: number | undefined;
  for (const [name, value] of tags) {
    if (name !== GRACE && (name !== FORMER_GRACE || kind !== ACKNOWLEDGEMENT)) continue;
    const second = parseUnixTime(value);
    if (second === undefined) return { reason: `invalid: malformed ${name} tag` };
    at = Math.min(at ?? second, second);
  }
  return at;
}
