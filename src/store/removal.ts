// How a drop stops being held.

import { forgetAuthor } from "./authors.ts";
import { expiryKey, expiryValue, tombstoneValue } from "./layout.ts";
import { takeOffDisk } from "./off-disk.ts";
import type { Header } from "./store.ts";
import type { WriteContext } from "./write-context.ts";

/** The drop goes at `time`, or now if there is none or it is past; its tombstone stays until the drop's own expiry. */
export function removeWithTombstone(
  context: WriteContext,
  held: Header,
  time: number | undefined,
  past: number,
): void {
  const { keys, expiries, tombstones } = context.tables;
  const key = keys.owned(held.recipient, held.idPrefix);
  // A drop in its grace has its tombstone already, with the true expiry.
  if (!tombstones.doesExist(key)) tombstones.putSync(key, tombstoneValue(held.expiry, false));
  if (time === undefined || time <= past) {
    remove(context, held);
  } else if (time < held.expiry) {
    context.boxes.expire(held, time);
    expiries.removeSync(expiryKey(held.expiry, held.seq));
    expiries.putSync(expiryKey(time, held.seq), expiryValue(time));
    context.usage.expires(held, time);
  }
}

/** It is not held any more, in whatever way it is looked for, and cannot be read. From the disk it is taken at the next sweep; a recent one at once, because those lie together. */
export function remove(context: WriteContext, held: Header): void {
  const { drops, discarded } = context.tables;
  if (forget(context, held) === "recent") takeOffDisk(context.tables, held);
  else {
    discarded.putSync(held.seq, expiryValue(held.expiry));
    drops.discard(held.seq);
  }
}

/** No index knows it any more. Answers whether its entry was only in memory. */
export function forget(context: WriteContext, held: Header): "recent" | "settled" {
  forgetAuthor(context, held);
  const was = context.boxes.remove(held);
  context.usage.removed(held);
  context.announcements.remove(held.seq);
  return was;
}
