import { type Filter, matchesNothing } from "../nostr/filter.ts";
import { ADDRESSED_KINDS } from "../nostr/kinds.ts";
import type { Reason } from "../nostr/reason.ts";

/**
 * A filter and the boxes it is about. Every drop has one recipient, so the boxes say all that `#p` said; the filter here has none any more.
 */
export type ScopedFilter = { readonly filter: Filter; readonly recipients: ReadonlySet<string> };

const AUTH_REQUIRED: Reason = "auth-required: drops are shown to their recipient only";
const NOT_YOURS: Reason = "restricted: that is not your box";

/**
 * The gate every read passes: a drop is shown to a connection only if its recipient is among the keys authenticated there. Asked for each event, at the
 * scan and again at live delivery.
 */
export function mayRead(keys: ReadonlySet<string>, recipient: string): boolean {
  return keys.has(recipient);
}

/**
 * Whether a filter is about nothing that anybody may be shown here: one of its lists is empty, or it names only kinds that are never held. It needs no key, and
 * who asks it none: some libraries look for their user's lists of relays on the connection on which they send.
 */
export function isAboutNothing(filter: Filter): boolean {
  return (
    matchesNothing(filter) ||
    [...(filter.kinds ?? ADDRESSED_KINDS)].every((kind) => !ADDRESSED_KINDS.has(kind))
  );
}

/**
 * What a REQ or COUNT is allowed to be about. A filter without `#p` is about the connection's keys; of one with `#p` the foreign keys are left out. A filter
 * that can match nothing, having foreign keys alone or being about nothing, is left out while another remains, so that one part of a question does not spoil the
 * rest. When none remains the request is refused if it named foreign keys, whether anything is held for them or not; else it is about nothing.
 */
export function scope(
  filters: readonly Filter[],
  keys: ReadonlySet<string>,
): ScopedFilter[] | Reason {
  if (keys.size === 0) return filters.every(isAboutNothing) ? [] : AUTH_REQUIRED;
  const scoped: ScopedFilter[] = [];
  const own = new Set(keys);
  let isForeign = false;
  for (const filter of filters) {
    if (isAboutNothing(filter)) continue;
    const named = filter.tags.get("p");
    const recipients = named ? new Set([...named].filter((key) => mayRead(keys, key))) : own;
    if (recipients.size === 0) {
      isForeign = true;
      continue;
    }
    const tags = new Map(filter.tags);
    tags.delete("p");
    scoped.push({ filter: { ...filter, tags }, recipients });
  }
  return scoped.length === 0 && isForeign ? NOT_YOURS : scoped;
}
