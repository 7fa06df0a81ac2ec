// What a key wrote and is held for others: its own to take back, if it is a kind 4 or the operator lets wraps be deleted (NIP-09).

import type { Drop } from "../nostr/drop.ts";
import { DIRECT_MESSAGE } from "../nostr/kinds.ts";
import { KEYS_A_PAGE } from "./boxes.ts";
import { recipientOf } from "../nostr/drop.ts";
import { after, authorValue, seqOfAuthor } from "./layout.ts";
import type { Header } from "./store.ts";
import { eventUnder } from "./tables.ts";
import type { WriteContext } from "./write-context.ts";

/** Whether the author may still take back what is held for somebody else. */
export function isAuthors(context: WriteContext, { kind }: Pick<Header, "kind">): boolean {
  return kind === DIRECT_MESSAGE || context.limits.authorDeletesWraps;
}

/** Lets the author of a drop find it again. */
export function rememberAuthor(context: WriteContext, drop: Drop, seq: number): void {
  if (!isAuthors(context, drop)) return;
  const { keys, authors } = context.tables;
  authors.putSync(keys.owned(drop.author, drop.id), authorValue(seq));
}

/** The drop is not held any more. */
export function forgetAuthor(
  { tables, wrapsHaveAuthors, damaged }: WriteContext,
  held: Header,
): void {
  if (held.kind !== DIRECT_MESSAGE && !wrapsHaveAuthors) return;
  const event = eventUnder(tables, held.seq, damaged);
  if (event !== undefined) tables.authors.removeSync(tables.keys.owned(event.pubkey, event.id));
}

/** The drop with this id that this key wrote, if it is held and may be taken back. */
export function writtenUnder(
  context: WriteContext,
  author: string,
  id: string,
): Header | undefined {
  const { keys, authors } = context.tables;
  const value = authors.get(keys.owned(author, id));
  const written = value && heldUnder(context, value);
  return written !== undefined && isAuthors(context, written) ? written : undefined;
}

/** All that this key wrote and may take back, a bounded page at a time. */
export function* writtenBy(context: WriteContext, author: string): Generator<Header[]> {
  const range = context.tables.keys.ownedRange(author);
  for (;;) {
    const page = [...context.tables.authors.getRange({ ...range, limit: KEYS_A_PAGE })];
    yield page.flatMap(({ value }) => {
      const held = heldUnder(context, value);
      return held !== undefined && isAuthors(context, held) ? [held] : [];
    });
    const last = page.at(-1);
    if (last === undefined || page.length < KEYS_A_PAGE) return;
    range.start = after(last.key);
  }
}

// The drop that an entry of `authors` is of.
function heldUnder({ tables, boxes, damaged }: WriteContext, value: Buffer): Header | undefined {
  const seq = seqOfAuthor(value);
  if (seq === undefined) damaged({ table: "authors" });
  const event = seq === undefined ? undefined : eventUnder(tables, seq, damaged);
  const recipient = event && recipientOf(event);
  const held = typeof recipient === "string" ? boxes.at({ ...event!, recipient }) : undefined;
  return held?.seq === seq ? held : undefined;
}
