import { schnorr } from "@noble/curves/secp256k1.js";
import * as fc from "fast-check";
import { describe, expect, it, type TestContext } from "vitest";

import { verifierLoaders } from "../../src/verify/loaders.ts";
import { plainVerifier } from "../../src/verify/plain.ts";
import {
  chooseVerifier,
  NoVerifier,
  selfTest,
  type Verifier,
  type VerifierLoader,
  type VerifierName,
} from "../../src/verify/verifier.ts";
import { hexDigits } from "../support/arbitrary.ts";
// The rows of BIP-340's test-vectors.csv whose message has 32 bytes, as an id has.
import vectors from "./bip340.json" with { type: "json" };

const NAMES = Object.keys(verifierLoaders) as VerifierName[];

describe.each(NAMES)("the %s verifier", (name) => {
  it.for(vectors)("says $valid to BIP-340's row $row: $what", async (vector, context) => {
    const verifier = await load(name, context);
    expect(verifier.verify(vector.sig, vector.id, vector.pubkey)).toBe(vector.valid);
  });

  it("says who it is", async (context) => {
    const verifier = await load(name, context);
    expect(verifier.name).toBe(name);
    expect(verifier.detail).not.toBe("");
  });

  it("passes the self-test", async (context) => {
    expect(selfTest(await load(name, context))).toBeUndefined();
  });

  it("agrees with @noble/curves on signatures, good and tampered with", async (context) => {
    const verifier = await load(name, context);
    fc.assert(
      fc.property(signed, fc.array(change, { maxLength: 2 }), (good, changes) => {
        const { sig, id, pubkey } = changed(good, changes);
        expect(verifier.verify(sig, id, pubkey)).toBe(oracle(sig, id, pubkey));
      }),
      { numRuns: 150 },
    );
  });

  it("agrees with @noble/curves on what is no key and no signature at all", async (context) => {
    const verifier = await load(name, context);
    fc.assert(
      fc.property(hexDigits(128), hexDigits(64), hexDigits(64), (sig, id, pubkey) => {
        expect(verifier.verify(sig, id, pubkey)).toBe(oracle(sig, id, pubkey));
      }),
      { numRuns: 50 },
    );
  });

  it("remembers nothing of one check in the next", async (context) => {
    const verifier = await load(name, context);
    const answers = [...vectors, ...vectors.toReversed()].map(({ sig, id, pubkey }) =>
      verifier.verify(sig, id, pubkey),
    );
    const expected = vectors.map(({ valid }) => valid);
    expect(answers).toEqual([...expected, ...expected.toReversed()]);
  });
});

describe("the choice of a verifier", () => {
  it("tries the native library first, then WASM, then plain JavaScript", () => {
    expect(NAMES).toEqual(["native", "wasm", "plain"]);
  });

  it("takes the first that works, and reports nothing", async () => {
    const { chosen, reports } = await choose([plainVerifier, missing("second")]);
    expect(chosen).toMatchObject({ name: "plain" });
    expect(reports).toEqual([]);
  });

  it("passes over one that cannot be loaded, and reports why", async () => {
    const { chosen, reports } = await choose([
      missing("libsecp256k1 was not found"),
      plainVerifier,
    ]);
    expect(chosen).toMatchObject({ name: "plain" });
    expect(reports).toEqual(["libsecp256k1 was not found"]);
  });

  it.each<[string, Verifier["verify"]]>([
    ["believes everything", () => true],
    ["believes nothing", () => false],
    ["looks at the signature alone", (sig) => [vectors[1]?.sig, vectors[2]?.sig].includes(sig)],
    ["takes its arguments in another order", (sig, id, pubkey) => oracle(sig, pubkey, id)],
    ["answers the opposite", (sig, id, pubkey) => !oracle(sig, id, pubkey)],
  ])("passes over one that %s, and reports it by name", async (_, verify) => {
    const liar: Verifier = { name: "native", detail: "liar.so", verify };
    const { chosen, reports } = await choose([() => liar, plainVerifier]);
    expect(chosen).toMatchObject({ name: "plain" });
    expect(reports).toEqual([
      expect.stringMatching(/^native verifier \(liar\.so\) failed its self-test: BIP-340 row \d/),
    ]);
  });

  it("passes over one that throws at the first check, and reports it", async () => {
    const broken: Verifier = {
      name: "native",
      detail: "broken.so",
      verify() {
        throw new Error("symbol not found");
      },
    };
    const { chosen, reports } = await choose([() => broken, plainVerifier]);
    expect(chosen).toMatchObject({ name: "plain" });
    expect(reports).toEqual([expect.stringContaining("symbol not found")]);
  });

  it("fails when there is none, having reported each", async () => {
    const { chosen, reports } = await choose([missing("one"), missing("two")]);
    expect(chosen).toBeInstanceOf(NoVerifier);
    expect(reports).toEqual(["one", "two"]);
  });
});

async function choose(
  loaders: readonly VerifierLoader[],
): Promise<{ chosen: unknown; reports: string[] }> {
  const reports: string[] = [];
  const chosen = await chooseVerifier(loaders, (reason) => reports.push(reason)).catch(
    (error: unknown) => error,
  );
  return { chosen, reports };
}

function missing(reason: string): VerifierLoader {
  return () => {
    throw new Error(reason);
  };
}

// The native library is the system's and may be missing on somebody's machine; where the suite must prove something, it may not.
async function load(name: VerifierName, { skip }: TestContext): Promise<Verifier> {
  try {
    return await verifierLoaders[name]();
  } catch (error) {
    if (name === "native" && !process.env["CI"]) return skip((error as Error).message);
    throw error;
  }
}

function oracle(sig: string, id: string, pubkey: string): boolean {
  return schnorr.verify(
    Buffer.from(sig, "hex"),
    Buffer.from(id, "hex"),
    Buffer.from(pubkey, "hex"),
  );
}

const GROUP_ORDER = schnorr.Point.Fn.ORDER;

type Signed = { readonly sig: string; readonly id: string; readonly pubkey: string };

const signed: fc.Arbitrary<Signed> = fc
  .tuple(hexDigits(64), hexDigits(64), hexDigits(64))
  .filter(([secret]) => BigInt(`0x${secret}`) > 0n && BigInt(`0x${secret}`) < GROUP_ORDER)
  .map(([secret, id, aux]) => {
    const key = Buffer.from(secret, "hex");
    const sig = schnorr.sign(Buffer.from(id, "hex"), key, Buffer.from(aux, "hex"));
    return {
      id,
      sig: Buffer.from(sig).toString("hex"),
      pubkey: Buffer.from(schnorr.getPublicKey(key)).toString("hex"),
    };
  });

type Change = { readonly field: keyof Signed; readonly bit: number };

const change: fc.Arbitrary<Change> = fc.record({
  field: fc.constantFrom("sig", "id", "pubkey"),
  bit: fc.nat({ max: 511 }),
});

/** The same with some bits turned over. */
function changed(good: Signed, changes: readonly Change[]): Signed {
  const tampered = { ...good };
  for (const { field, bit } of changes) {
    const bytes = Buffer.from(tampered[field], "hex");
    const at = (bit >> 3) % bytes.length;
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (bit & 7)), at);
    tampered[field] = bytes.toString("hex");
  }
  return tampered;
}
