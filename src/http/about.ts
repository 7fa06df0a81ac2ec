import { accepts } from "./accept.ts";
import type { RelayInformation } from "./information.ts";
import { keptPage } from "./page/kept-page.ts";
import type { Operation, Routes } from "./route.ts";
import type { HttpResponse } from "../transport/transport.ts";
import { json, respond, text } from "./respond.ts";

const DOCUMENT = "application/nostr+json";
const PAGE = "text/html";
// What is answered depends on it, so a cache must not give one reader's answer to another.
const VARY = { vary: "accept" };
const FRONT =
  "This is a Nostr relay that holds private messages until they are picked up. Point a Nostr client at this address, or read openapi.json below it.\n";

/** `disk full`: new drops are refused, all else goes on. */
export type Readiness = "ready" | "disk full" | "not ready";

// A full disk is no reason to start the relay again, or to take it out of service: what is held can still be picked up.
const READINESS: Readonly<Record<Readiness, { status: 200 | 503; words: string }>> = {
  ready: { status: 200, words: "ready" },
  "disk full": {
    status: 200,
    words: "ready, but new drops are refused: the disk is full; pickups and acknowledgements go on",
  },
  "not ready": { status: 503, words: "not ready" },
};

/** Who the relay is, and how it is. */
export function about(
  information: () => RelayInformation,
  readiness: () => Readiness,
  urls: () => readonly string[],
): Routes {
  const shown = keptPage();
  const forPerson = (host: string | undefined): HttpResponse | undefined => {
    const now = readiness();
    const state = READINESS[now].words;
    return shown({
      information: information(),
      state,
      takesDrops: now === "ready",
      urls: urls(),
      host,
    });
  };
  const front = both({
    summary:
      "The NIP-11 document for who accepts application/nostr+json, a page for who accepts text/html; else a sentence",
    statuses: { 200: "who the relay is" },
    answers: [DOCUMENT, PAGE, "text/plain"],
    isCounted: true,
    answer: ({ headers: { accept, host } }) => {
      if (accepts(accept, DOCUMENT)) {
        return respond(200, { "content-type": DOCUMENT, ...VARY }, JSON.stringify(information()));
      }
      const page = accepts(accept, PAGE) ? forPerson(host) : undefined;
      return page ?? text(200, FRONT, VARY);
    },
  });
  const health = both({
    summary: "Whether the process lives",
    statuses: { 200: "it lives" },
    answers: ["text/plain"],
    isCounted: false,
    answer: () => text(200, "ok\n"),
  });
  const ready = both({
    summary: "Whether the relay answers, and in words what it refuses",
    statuses: { 200: "it answers; the text says whether drops are taken", 503: "not now" },
    answers: ["text/plain"],
    isCounted: false,
    answer: () => {
      const { status, words } = READINESS[readiness()];
      return text(status, `${words}\n`);
    },
  });
  return { "/": front, "/healthz": health, "/readyz": ready };
}

/** The OpenAPI document of `routes`, at a route of its own. */
export function described(document: object): Routes {
  const operation: Operation = {
    summary: "This document",
    statuses: { 200: "an OpenAPI document" },
    answers: ["application/json"],
    isCounted: true,
    answer: () => json(200, document, { "cache-control": "max-age=3600" }),
  };
  return { "/openapi.json": both(operation) };
}

function both(operation: Operation): { GET: Operation; HEAD: Operation } {
  return { GET: operation, HEAD: operation };
}
