import koffi, { type LibraryHandle } from "koffi";

import type { Verifier } from "./verifier.ts";

// The versions of the ABI, newest first, as distributions name the file. The loader's own search path applies; Homebrew's is not on it.
const LIBRARIES: readonly string[] =
  process.platform === "darwin"
    ? [
        "libsecp256k1.dylib",
        "/opt/homebrew/lib/libsecp256k1.dylib",
        "/usr/local/lib/libsecp256k1.dylib",
      ]
    : [8, 7, 6, 5, 4, 3, 2, 1, 0].map((abi) => `libsecp256k1.so.${abi}`).concat("libsecp256k1.so");

const CONTEXT_NONE = 1;
const XONLY_PUBKEY_BYTES = 64;

/** libsecp256k1, called in place through koffi. Throws when the system has no such library. */
export function nativeVerifier(): Verifier {
  const { file, library } = loadLibrary();
  const createContext = library.func("void *secp256k1_context_create(unsigned int flags)");
  const parsePubkey = library.func(
    "int secp256k1_xonly_pubkey_parse(const void *ctx, uint8_t *pubkey, const uint8_t *input32)",
  );
  const verifySignature = library.func(
    "int secp256k1_schnorrsig_verify(const void *ctx, const uint8_t *sig64, const uint8_t *msg, size_t msglen, const uint8_t *pubkey)",
  );
  // One context and one set of buffers for each thread: nothing is allocated by a check, and nothing is shared.
  const context: unknown = createContext(CONTEXT_NONE);
  const key = Buffer.alloc(32);
  const parsedKey = Buffer.alloc(XONLY_PUBKEY_BYTES);
  const message = Buffer.alloc(32);
  const signature = Buffer.alloc(64);

  return {
    name: "native",
    detail: file,
    verify(sig, id, pubkey) {
      key.write(pubkey, "hex");
      if (parsePubkey(context, parsedKey, key) !== 1) return false;
      message.write(id, "hex");
      signature.write(sig, "hex");
      return verifySignature(context, signature, message, message.length, parsedKey) === 1;
    },
  };
}

function loadLibrary(): { file: string; library: LibraryHandle } {
  for (const file of LIBRARIES) {
    try {
      return { file, library: koffi.load(file) };
    } catch {
      continue;
    }
  }
  throw new Error(`libsecp256k1 was not found (tried ${LIBRARIES.join(", ")})`);
}
