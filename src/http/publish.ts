import { type NostrEvent, peekId } from "../nostr/event.ts";
import { ACKNOWLEDGEMENT, DELETION } from "../nostr/kinds.ts";
import { isReason, type Reason } from "../nostr/reason.ts";
import type { Publisher } from "../relay/publish.ts";
import type { HttpRequest, HttpResponse } from "../transport/transport.ts";
import { hints, json, refusal } from "./respond.ts";
import type { Operation, Routes } from "./route.ts";
import { statusOf } from "./status.ts";

const NO_ACKNOWLEDGEMENT: Reason = "invalid: an acknowledgement is an event of kind 20221 or 5";

const REFUSALS = {
  400: "invalid: malformed, forged, expired, or not addressed to one recipient",
  403: "blocked or restricted: not a kind or not a recipient of this relay",
  413: "too large",
  415: "unsupported: a body with a content coding",
  422: "pow: not enough proof of work",
  429: "rate-limited: slow down",
  503: "error: try again",
  507: "the box or the disk is full",
};

/** `POST /drop` and `POST /ack`: an EVENT message each, answered in the words of its OK. */
export function publishing(publisher: Publisher): Routes {
  const drop: Operation = {
    summary: "Drops an event, or does whatever else a relay does with an EVENT message",
    takes: "a Nostr event",
    statuses: {
      200: "duplicate: already known; or an acknowledgement, done",
      201: "held",
      202: "passed on, not held (kind 21059)",
      ...REFUSALS,
    },
    answers: ["application/json"],
    isCounted: true,
    async answer(request) {
      const event = eventIn(request);
      return isReason(event) ? refusal(400, event) : publish(publisher, event, request);
    },
  };
  const acknowledge: Operation = {
    summary: "Acknowledges drops",
    takes: "a Nostr event of kind 20221 (NIP-DD) or 5 (NIP-09), signed by the recipient",
    statuses: { 200: "done, whatever became of the drops it names", ...REFUSALS },
    answers: ["application/json"],
    isCounted: true,
    async answer(request) {
      const event = eventIn(request);
      if (isReason(event)) return refusal(400, event);
      return event.kind === ACKNOWLEDGEMENT || event.kind === DELETION
        ? publish(publisher, event, request)
        : refusal(400, NO_ACKNOWLEDGEMENT, peekId(event.text));
    },
  };
  return { "/drop": { POST: drop }, "/ack": { POST: acknowledge } };
}

type Sent = { readonly kind: unknown; readonly text: string };

async function publish(
  publisher: Publisher,
  { text }: Sent,
  { address }: HttpRequest,
): Promise<HttpResponse> {
  const answer = await publisher.publish(`["EVENT",${text}]`, address);
  const { id, accepted, message } = answer;
  const status = statusOf(answer);
  return json(
    status,
    { ...(id !== undefined && { id }), accepted, reason: message },
    hints(status),
  );
}

// Read here only to be sure that it is one JSON value; the relay gets the text, as from a socket.
function eventIn({ body }: HttpRequest): Sent | Reason {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    value = JSON.parse(text);
  } catch {
    return "invalid: the body is not JSON";
  }
  return { kind: Object(value) === value ? (value as Partial<NostrEvent>).kind : undefined, text };
}
