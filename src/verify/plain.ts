import { schnorr } from "@noble/curves/secp256k1.js";

import type { Verifier } from "./verifier.ts";

/** Plain JavaScript: forty times slower than the native library, the last resort. */
export function plainVerifier(): Verifier {
  return {
    name: "plain",
    detail: "@noble/curves",
    verify: (sig, id, pubkey) =>
      schnorr.verify(Buffer.from(sig, "hex"), Buffer.from(id, "hex"), Buffer.from(pubkey, "hex")),
  };
}
