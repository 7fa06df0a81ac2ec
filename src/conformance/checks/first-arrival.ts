import type { NostrEvent } from "../../nostr/event.ts";
import { ALREADY_HAVE } from "../../nostr/reason.ts";
import type { Answer } from "../client.ts";
import type { Context } from "../context.ts";
import { must } from "../verdict.ts";

/** Fails unless a drop was answered, byte for byte, as one that is there already. */
export function mustBeKnown(what: string, { text }: Answer, { id }: NostrEvent): void {
  const expected = JSON.stringify(["OK", id, true, ALREADY_HAVE]);
  must(JSON.stringify(JSON.parse(text)) === expected, `${what}: ${text}, not ${expected}`);
}

/**
 * Publishes drops that were acknowledged before they came. Each is answered like one that is held now, or its sender learns that the recipient was here before it; from the
 * second time on it is known.
 */
export async function arriveLikeOthers(
  context: Context,
  drops: Readonly<Record<string, NostrEvent>>,
): Promise<void> {
  const sender = await context.sender();
  const fresh = context.wrap({ to: context.person() });
  const expected = withoutId(await sender.publish(fresh), fresh);
  for (const [way, drop] of Object.entries(drops)) {
    const first = await sender.publish(drop);
    must(
      withoutId(first, drop) === expected,
      `the first arrival of a drop that was acknowledged ${way} is answered with ${first.text}, another one with ${expected}`,
    );
    mustBeKnown(`acknowledged ${way}, the second time`, await sender.publish(drop), drop);
  }
}

function withoutId({ text }: Answer, { id }: NostrEvent): string {
  return text.replace(id, "…");
}
