import { type NostrEvent } from "./event.ts";

/** Leading zero bits of an id of hex digits (NIP-13). */
export function leadingZeroBits(id: string): number {
  const digits = /^0*/.exec(id)?.[0].length ?? 0;
  const next = id[digits];
  return digits * 4 + (next === undefined ? 0 : Math.clz32(Number.parseInt(next, 16)) - 28);
}

/** The difficulty the sender set out for: the third entry of the `nonce` tag (NIP-13), or undefined. */
export function committedTarget(event: NostrEvent): number | undefined {
  const target = event.tags.find((tag) => tag[0] === "nonce")?.[2];
  return target !== undefined && /^\d{1,3}$/.test(target) ? Number(target) : undefined;
}
