import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { isReason } from "../nostr/reason.ts";
import { isRelayUrl } from "./relay-url.ts";

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

/** Whether the value has the shape of what `Delivery.save` made. */
export function isSavedDelivery(value: unknown): value is SavedDelivery {
  const { message, quorum, targets } = Object(value) as Partial<SavedDelivery>;
  return (
    isHex32(message) &&
    Number.isInteger(quorum) &&
    Array.isArray(targets) &&
    targets.every(isTarget)
  );
}

const NOTHING_HAD = { state: "held", reason: "" } as const;

function isTarget(value: unknown): boolean {
  const { url, wrap, why, had, isFound = false } = Object(value) as Partial<DeliveryTarget>;
  const {
    state,
    reason,
    heldUntil = 0,
  }: Partial<DeliveryReport> = had === undefined
    ? NOTHING_HAD
    : (Object(had) as Partial<DeliveryReport>);
  return (
    isRelayUrl(url) &&
    (wrap === undefined || !isReason(parseEvent(wrap))) &&
    (why === undefined || typeof why === "string") &&
    (state === "held" || state === "known") &&
    typeof reason === "string" &&
    Number.isFinite(heldUntil) &&
    typeof isFound === "boolean"
  );
}
