import { nativeVerifier } from "./native.ts";
import { plainVerifier } from "./plain.ts";
import type { VerifierLoader, VerifierName } from "./verifier.ts";
import { wasmVerifier } from "./wasm.ts";

/** Every implementation, the fastest first. */
export const verifierLoaders: Readonly<Record<VerifierName, VerifierLoader>> = {
  native: nativeVerifier,
  wasm: wasmVerifier,
  plain: plainVerifier,
};
