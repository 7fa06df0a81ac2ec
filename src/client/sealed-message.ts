import { mustBeHex, wholeSeconds } from "./arguments.ts";
import type { Runtime } from "./runtime.ts";
import type { SendOptions } from "./send-options.ts";
import type { EventTemplate, Signer } from "./signer.ts";
import { expirationAfter, rumorOf, seal, type UnsignedWrap, wrap } from "./wrap.ts";

/** A message and who writes it to whom. */
export type OutgoingMessage = {
  readonly recipient: string;
  readonly message: string | EventTemplate;
  readonly from: Signer;
};

export type SealedMessage = {
  /** The id of the message. */
  readonly id: string;
  /** Makes a wrap: another one each time. */
  readonly wrap: () => Promise<UnsignedWrap>;
};

/**
 * Seals a message for its recipient, to be wrapped once or for each relay anew. Rejects with a RangeError for wrong options or a message that is too long to
 * be encrypted (NIP-44).
 */
export async function sealMessage(
  { recipient, message, from }: OutgoingMessage,
  { address = recipient, expiresInSeconds }: Pick<SendOptions, "address" | "expiresInSeconds">,
  runtime: Runtime,
): Promise<SealedMessage> {
  mustBeHex(recipient, "key");
  mustBeHex(address, "key");
  const rumor = rumorOf(from.key, recipient, message, runtime);
  const sealed = await seal(rumor, from, recipient, runtime).catch(tooLong);
  const seconds =
    expiresInSeconds === undefined ? undefined : wholeSeconds(expiresInSeconds, "expiresInSeconds");
  return {
    id: rumor.id,
    wrap() {
      // Another one for each wrap: the same would tell that it is the same message.
      const expiration = seconds === undefined ? undefined : expirationAfter(seconds, runtime);
      return wrap(sealed, address, expiration, runtime).catch(tooLong);
    },
  };
}

function tooLong(error: unknown): never {
  throw new RangeError(`the message cannot be encrypted: ${(error as Error).message}`, {
    cause: error,
  });
}
