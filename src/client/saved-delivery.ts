import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { isReason } from "../nostr/reason.ts";

/** What one relay said to a drop. */
export type DeliveryReport = {
  readonly url: string;
  /**
   * `waiting`: no answer yet. `held`: on its disk. `known`: it had the drop already, or its recipient acknowledged it: which of the two it does not
   * say. `refused`, `unreachable`: not there, for `reason`.
   */
  readonly state: "waiting" | "held" | "known" | "refused" | "unreachable";
  readonly reason: string;
  /** Unix seconds; undefined while it is not held, and for a relay that does not say how long it holds. */
  readonly heldUntil: number | undefined;
};

/** What one relay gets, or `why` it gets nothing; and that it has it already, if so. */
export type DeliveryTarget = {
  readonly url: string;
  readonly wrap?: NostrEvent;
  readonly why?: string;
  readonly had?: Pick<DeliveryReport, "state" | "reason" | "heldUntil">;
  /** The relay was found in the recipient's list, and not named by whoever sends. */
  readonly isFound?: boolean;
};

/** A delivery to be gone on with later, by `DeadDrop.resume`: JSON, without the text of the message. */
export type SavedDelivery = {
  /** The id of the message inside. */
  readonly message: string;
  readonly quorum: number;
  readonly targets: readonly DeliveryTarget[];
};

/** Throws a TypeError unless the value is what `Delivery.save` made. */
export function mustBeSaved({ message, quorum, targets }: SavedDelivery): void {
  const isTarget = ({ url, wrap }: DeliveryTarget): boolean =>
    typeof url === "string" && (wrap === undefined || !isReason(parseEvent(wrap)));
  const isSaved =
    isHex32(message) &&
    Number.isInteger(quorum) &&
    Array.isArray(targets) &&
    (targets as DeliveryTarget[]).every((target) => isTarget(Object(target) as DeliveryTarget));
  if (!isSaved) throw new TypeError("that is no saved delivery");
}
