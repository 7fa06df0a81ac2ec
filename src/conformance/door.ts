// The client's half of the HTTP door (NIP-DH): it asks and understands the answers, and judges only their form. A door that says it has had too
// much is given time, as on the socket.

import { npubEncode } from "nostr-tools/nip19";

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { HTTP_AUTHORIZATION } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import { objectIn } from "./information.ts";
import { nowSeconds, type Person, sign, type Template } from "./people.ts";
import { unhurried } from "./rate-limit.ts";
import { must } from "./verdict.ts";

/** What `POST` is answered with: an OK as JSON. */
export type Posted = {
  readonly status: number;
  readonly id: unknown;
  readonly accepted: boolean;
  readonly reason: string;
  /** The body as it came. */
  readonly text: string;
};

/** What `GET /pickup` brought. */
export type Page = {
  readonly events: readonly NostrEvent[];
  readonly ids: readonly string[];
  /** `Dead-Drop-Finished` and `Dead-Drop-Cursor`, as they came. */
  readonly finished: string | undefined;
  readonly cursor: string | undefined;
  /** The body as it came. */
  readonly text: string;
};

export type Door = {
  /** Posts an event as it is. */
  post(path: "/drop" | "/ack", event: NostrEvent): Promise<Posted>;
  /** Asks for what is behind the door's own URL, as nobody unless there is an authorization. */
  get(target: string, authorization?: NostrEvent): Promise<HttpAnswer>;
  /** An authorization for a GET of the target (NIP-98); `change` makes it a wrong one. */
  authorization(by: Person, target: string, change?: AuthorizationChange): NostrEvent;
  /** Reads one's own box, page after page, or the one page of a query that begins with "?". Fails unless that is allowed. */
  pickup(owner: Person, query?: string): Promise<Page>;
  /** Counts what is in one's own box, and fails unless that is allowed. */
  count(owner: Person): Promise<unknown>;
};

export type AuthorizationChange = Partial<Template> & {
  readonly url?: string;
  readonly method?: string;
};

type DoorSettings = {
  /** The relay's, with the scheme of a WebSocket. */
  readonly url: string;
  readonly ask: (request: HttpRequest) => Promise<HttpAnswer>;
  /** Told of every event the relay accepted. */
  readonly accepted: (event: NostrEvent) => void;
};

const TOO_MANY_REQUESTS = 429;

export function httpDoor({ url, ask, accepted: noteAccepted }: DoorSettings): Door {
  // NIP-DD: "at the URL of its WebSocket with `https` for `wss`".
  const { origin, pathname } = new URL(url.replace(/^ws/i, "http"));
  const base = origin + pathname.replace(/\/+$/, "");

  const patiently = (request: HttpRequest): Promise<HttpAnswer> =>
    unhurried(
      () => ask(request),
      ({ status }) => status === TOO_MANY_REQUESTS,
    );

  const door: Door = {
    async post(path, event) {
      const body = JSON.stringify(event);
      const answer = await patiently({ method: "POST", url: base + path, body });
      const { status, body: text } = answer;
      const { id, accepted, reason } = objectIn(valueIn(text)) ?? {};
      must(
        typeof accepted === "boolean" && typeof reason === "string",
        `POST ${path} takes an object with "accepted" and "reason" for an answer, not ${shown(answer)}`,
      );
      if (accepted) noteAccepted(event);
      return { status, id, accepted, reason, text };
    },

    get(target, authorization) {
      return patiently({ url: base + target, authorization });
    },

    authorization(by, target, { url = base + target, method = "GET", ...change } = {}) {
      const tags = [
        ["u", url],
        ["method", method],
      ];
      return sign(by, { kind: HTTP_AUTHORIZATION, created_at: nowSeconds(), tags, ...change });
    },

    async pickup(owner, query) {
      if (query !== undefined) return page(owner, query);
      let next = await page(owner, "");
      const { events, ids, text } = next;
      const all = { events: [...events], ids: [...ids], text };
      while (next.finished === "false" && next.cursor !== undefined && next.ids.length > 0) {
        next = await page(owner, `?cursor=${encodeURIComponent(next.cursor)}`);
        all.events.push(...next.events);
        all.ids.push(...next.ids);
        all.text += next.text;
      }
      return { ...next, ...all };
    },

    async count(owner) {
      const { body } = await read(owner, countOf(owner));
      return objectIn(valueIn(body))?.["count"];
    },
  };

  async function page(owner: Person, query: string): Promise<Page> {
    const { headers, body: text } = await read(owner, boxOf(owner) + query);
    const lines = text.split("\n").filter((line) => line !== "");
    const events = lines.map((line) => {
      const event = parseEvent(valueIn(line));
      must(!isReason(event), `a line of a box is no event: ${JSON.stringify(line.slice(0, 80))}`);
      return event;
    });
    const ids = events.map(({ id }) => id);
    const finished = headers.get("dead-drop-finished");
    return { events, ids, finished, cursor: headers.get("dead-drop-cursor"), text };
  }

  async function read(owner: Person, target: string): Promise<HttpAnswer> {
    const answer = await door.get(target, door.authorization(owner, target));
    must(answer.status === 200, `the owner's GET ${target} was answered with ${shown(answer)}`);
    return answer;
  }

  return door;
}

/** Where somebody's box is, by hex digits. */
export function boxOf({ key }: Person): string {
  return `/pickup/${key}`;
}

/** Where somebody's box is, by npub. */
export function namedBoxOf({ key }: Person): string {
  return `/pickup/${npubEncode(key)}`;
}

/** Where is told how many drops there are for somebody. */
export function countOf(owner: Person): string {
  return `${boxOf(owner)}/count`;
}

/** An answer in a few words. */
export function shown({ status, body }: HttpAnswer): string {
  return `${status} and ${JSON.stringify(body.slice(0, 80))}`;
}

function valueIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
