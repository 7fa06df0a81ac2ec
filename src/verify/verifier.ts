// A Verifier says whether a BIP-340 signature is right. It is synchronous and meant for worker threads: one check costs 40 µs to 2 ms of pure
// computation, and koffi's asynchronous calls would cost as much again. Which implementation runs is decided at start by `chooseVerifier`: the
// fastest one that passes the self-test. A verifier never throws on what a peer sent; a malformed key or signature is simply not valid.

export type VerifierName = "native" | "wasm" | "plain";

export type Verifier = {
  readonly name: VerifierName;
  /** What runs, for the log: a library's file name or a package. */
  readonly detail: string;
  /** True when `sig` (128 hex digits) is `pubkey`'s (64) signature of `id` (64). */
  verify(sig: string, id: string, pubkey: string): boolean;
};

/** Answers a verifier, or throws with the reason why this one cannot run here. */
export type VerifierLoader = () => Verifier | Promise<Verifier>;

export class NoVerifier extends Error {
  override readonly name = "NoVerifier";
}

/** The first of `loaders` that loads and passes the self-test. `onRejected` hears of each that does not, and why. */
export async function chooseVerifier(
  loaders: readonly VerifierLoader[],
  onRejected: (reason: string) => void,
): Promise<Verifier> {
  for (const load of loaders) {
    try {
      const verifier = await load();
      const wrong = selfTest(verifier);
      if (wrong === undefined) return verifier;
      onRejected(`${verifier.name} verifier (${verifier.detail}) failed its self-test: ${wrong}`);
    } catch (error) {
      onRejected(error instanceof Error ? error.message : String(error));
    }
  }
  throw new NoVerifier("no signature verifier can run on this machine");
}

type Vector = { readonly what: string; readonly valid: boolean } & Record<
  "pubkey" | "id" | "sig",
  string
>;

// BIP-340, test-vectors.csv, the rows named. Wrong answers to any of these have been seen from libraries with another calling convention.
const GOOD: readonly Vector[] = [
  {
    what: "row 1",
    valid: true,
    pubkey: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
    id: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
    sig: "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de33418906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
  },
  {
    what: "row 2",
    valid: true,
    pubkey: "dd308afec5777e13121fa72b9cc1b7cc0139715309b086c960e18fd969774eb8",
    id: "7e2d58d8b3bcdf1abadec7829054f90dda9805aab56c77333024b9d0a508b75c",
    sig: "5831aaeed7b44bb74e5eab94ba9d4294c49bcf2a60728d8b4c200f50dd313c1bab745879a5ad954a72c45a91c3a51d3c7adea98d82f8481e0e1e03674a6f3fb7",
  },
];

const BAD: readonly Vector[] = [
  {
    what: "row 5: public key not on the curve",
    valid: false,
    pubkey: "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34",
    id: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
    sig: "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e17776969e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b",
  },
  {
    what: "row 6: R has an odd y",
    valid: false,
    pubkey: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
    id: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
    sig: "fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a14602975563cc27944640ac607cd107ae10923d9ef7a73c643e166be5ebeafa34b1ac553e2",
  },
  ...GOOD.map((vector) => ({
    ...vector,
    what: `${vector.what} over another id`,
    valid: false,
    id: vector.id.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
  })),
];

/** What the verifier got wrong, or undefined. */
export function selfTest(verifier: Verifier): string | undefined {
  for (const { what, valid, pubkey, id, sig } of [...GOOD, ...BAD]) {
    if (verifier.verify(sig, id, pubkey) !== valid) return `BIP-340 ${what}`;
  }
  return undefined;
}
