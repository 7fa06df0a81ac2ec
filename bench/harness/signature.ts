import { nativeVerifier } from "../../src/verify/native.ts";
import { giftWrap, stranger } from "./events.ts";

const CHECKS = 2_000;

/**
 * What one signature check costs at this moment, by far the largest part of a drop. Virtual machines slow down and speed up by a third within a minute: this
 * tells how much of a difference is theirs.
 */
export function signatureMicros(): number {
  const verifier = nativeVerifier();
  const { sig, id, pubkey } = giftWrap(stranger());
  const before = process.cpuUsage();
  for (let check = 0; check < CHECKS; check += 1) verifier.verify(sig, id, pubkey);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CHECKS;
}
