import { mustBeHex, pointOf, wholeSeconds } from "./arguments.ts";
import { mustFit } from "./message-size.ts";
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
 * Seals a message for its recipient, to be wrapped once or for each relay anew. Rejects with a RangeError for wrong options, for what no reader would take for
 * a message, and for one that is too long: before the signer is asked for anything. And as the signer does.
 */
export async function sealMessage(
  { recipient, message, from }: OutgoingMessage,
  { address = recipient, expiresInSeconds }: Pick<SendOptions, "address" | "expiresInSeconds">,
  runtime: Runtime,
): Promise<SealedMessage> {
  mustBeHex(from.key, "key");
  pointOf(recipient, "the recipient");
  pointOf(address, "the address");
  const seconds =
    expiresInSeconds === undefined ? undefined : wholeSeconds(expiresInSeconds, "expiresInSeconds");
  const rumor = rumorOf(from.key, recipient, message, runtime);
  mustFit(rumor);
  const sealed = await seal(rumor, from, recipient, runtime);
  return {
    id: rumor.id,
    async wrap() {
      // Another one for each wrap: the same would tell that it is the same message.
      const expiration = seconds === undefined ? undefined : expirationAfter(seconds, runtime);
      return wrap(sealed, address, expiration, runtime);
    },
  };
}
