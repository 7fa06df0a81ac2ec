import type { Verifier } from "./verifier.ts";

/** libsecp256k1 compiled to WebAssembly: six times slower than the native library, there on every machine. */
export async function wasmVerifier(): Promise<Verifier> {
  const { verifySchnorr } = await import("tiny-secp256k1");
  const key = Buffer.alloc(32);
  const message = Buffer.alloc(32);
  const signature = Buffer.alloc(64);
  return {
    name: "wasm",
    detail: "tiny-secp256k1",
    verify(sig, id, pubkey) {
      key.write(pubkey, "hex");
      message.write(id, "hex");
      signature.write(sig, "hex");
      try {
        return verifySchnorr(message, key, signature);
      } catch {
        // It throws on a key that is not on the curve and on a signature out of range: not valid, like any other.
        return false;
      }
    },
  };
}
