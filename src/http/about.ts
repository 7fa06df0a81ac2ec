import { accepts } from "./accept.ts";
import type { Operation, Routes } from "./route.ts";
import { json, respond, text } from "./respond.ts";

const DOCUMENT = "application/nostr+json";
const FRONT =
  "This is a Nostr relay that holds private messages until they are picked up. Point a Nostr client at this address, or read openapi.json below it.\n";

/** Who the relay is, and how it is. */
export function about(information: Record<string, unknown>, isReady: () => boolean): Routes {
  const document = JSON.stringify(information);
  const front = both({
    summary: "The NIP-11 document for who accepts application/nostr+json; a sentence for a person",
    statuses: { 200: "who the relay is" },
    answers: [DOCUMENT, "text/plain"],
    isCounted: true,
    answer: ({ headers }) =>
      accepts(headers["accept"], DOCUMENT)
        ? respond(200, { "content-type": DOCUMENT }, document)
        : text(200, FRONT),
  });
  const health = both({
    summary: "Whether the process lives",
    statuses: { 200: "it lives" },
    answers: ["text/plain"],
    isCounted: false,
    answer: () => text(200, "ok\n"),
  });
  const readiness = both({
    summary: "Whether drops are taken",
    statuses: { 200: "drops are taken", 503: "not now" },
    answers: ["text/plain"],
    isCounted: false,
    answer: () => (isReady() ? text(200, "ready\n") : text(503, "not ready\n")),
  });
  return { "/": front, "/healthz": health, "/readyz": readiness };
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
