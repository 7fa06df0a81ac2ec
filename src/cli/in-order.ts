// The order in which people read what was picked up: by the time that each message says it was written, oldest first. Relays send the newest first.

import type { PickedUp } from "../client/client.ts";

// What is held stays in memory until the last relay has sent it. Of a box that is larger each part is in order.
const MAX_GATHERED_CHARS = 128 * 1024 * 1024;
const CHARS_BESIDE_TEXT = 1_024;

export type InOrderOptions = {
  /** Resolves when all that is held has come. Without it that is when the source ends. */
  readonly heldAll?: Promise<void>;
  /** Told how many were gathered so far. */
  readonly gathered?: (count: number) => void;
};

/**
 * Brings what is picked up in batches: first all that is held, in order, which may be nothing; then what comes, one by one. When the source fails, what
 * was gathered is brought before the error is thrown.
 */
export async function* inOrder(
  source: AsyncIterable<PickedUp>,
  { heldAll = new Promise(() => {}), gathered }: InOrderOptions,
): AsyncGenerator<readonly PickedUp[]> {
  const iterator = source[Symbol.asyncIterator]();
  let batch: PickedUp[] = [];
  let [count, chars] = [0, 0];
  try {
    let next = iterator.next();
    for (;;) {
      const result = await Promise.race([next, heldAll]);
      if (typeof result !== "object" || result.done === true) {
        yield batch.sort(byTime);
        batch = [];
        if (typeof result === "object") return;
        break;
      }
      batch.push(result.value);
      gathered?.((count += 1));
      chars += charsOf(result.value);
      if (chars > MAX_GATHERED_CHARS) {
        yield batch.sort(byTime);
        [batch, chars] = [[], 0];
      }
      next = iterator.next();
    }
    for (;;) {
      const result = await next;
      if (result.done === true) return;
      yield [result.value];
      next = iterator.next();
    }
  } catch (error) {
    if (batch.length > 0) yield batch.sort(byTime);
    throw error;
  } finally {
    // It ends when what it waits for has come: nobody waits for that here.
    void iterator.return?.();
  }
}

function charsOf(picked: PickedUp): number {
  return CHARS_BESIDE_TEXT + (picked.type === "message" ? picked.message.content.length : 0);
}

const RANKS: Readonly<Record<PickedUp["type"], number>> = { message: 0, receipt: 1, unreadable: 2 };

// What has no time of its own stands last. Of two in one second it is always the same that stands first, whatever relay was faster.
function byTime(a: PickedUp, b: PickedUp): number {
  if (a.type !== "message" || b.type !== "message") return RANKS[a.type] - RANKS[b.type];
  const [one, two] = [a.message, b.message];
  return one.created_at - two.created_at || (one.id < two.id ? -1 : 1);
}
