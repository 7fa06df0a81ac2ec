import type { NostrEvent } from "../nostr/event.ts";
import { type EventTemplate, readBack, type Signer } from "./signer.ts";

/** A signer that is asked one thing at a time. */
export type QueuedSigner = Signer & {
  /** Signs what is still wanted when its turn has come, and reads it as others will (`readBack`); undefined when nothing is by then. */
  signWanted(template: () => EventTemplate | undefined): Promise<NostrEvent | undefined>;
};

const queued = new WeakMap<Signer, QueuedSigner>();

/**
 * The same signer, asked one thing at a time, whoever asks: behind it may be a person (NIP-07, NIP-46), who is shown one question after the other and not
 * as many as there are relays. The same for the same signer.
 */
export function oneAtATime(signer: Signer): QueuedSigner {
  const known = queued.get(signer);
  if (known !== undefined) return known;
  let before: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(ask: () => Promise<T>): Promise<T> => {
    const answer = before.then(ask);
    before = answer.catch(() => {});
    return answer;
  };
  const own: QueuedSigner = {
    key: signer.key,
    sign: (template) => inTurn(() => signer.sign(template)),
    encrypt: (other, text) => inTurn(() => signer.encrypt(other, text)),
    decrypt: (other, ciphertext) => inTurn(() => signer.decrypt(other, ciphertext)),
    ...(signer.decryptLegacy !== undefined && {
      decryptLegacy: (other: string, ciphertext: string) =>
        inTurn(async () => signer.decryptLegacy?.(other, ciphertext) ?? ""),
    }),
    signWanted: (template) =>
      inTurn(async () => {
        const wanted = template();
        return wanted && readBack(signer, wanted);
      }),
  };
  queued.set(signer, own);
  queued.set(own, own);
  return own;
}
