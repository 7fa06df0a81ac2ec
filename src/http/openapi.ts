import { ownUrl } from "../nostr/own-url.ts";
import type { Operation, Routes } from "./route.ts";

const EVENT_SCHEMA = {
  type: "object",
  description: "A Nostr event (NIP-01)",
  required: ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"],
  properties: {
    id: { type: "string", pattern: "^[0-9a-f]{64}$" },
    pubkey: { type: "string", pattern: "^[0-9a-f]{64}$" },
    created_at: { type: "integer", minimum: 0 },
    kind: { type: "integer", minimum: 0, maximum: 65_535 },
    tags: { type: "array", items: { type: "array", minItems: 1, items: { type: "string" } } },
    content: { type: "string" },
    sig: { type: "string", pattern: "^[0-9a-f]{128}$" },
  },
};

const ANSWER_SCHEMA = {
  type: "object",
  required: ["accepted", "reason"],
  properties: {
    id: { type: "string" },
    accepted: { type: "boolean" },
    reason: { type: "string", description: "the same text as on the socket" },
  },
};

const SCHEMES = {
  nip98: {
    type: "http",
    scheme: "nostr",
    description: "NIP-98: “Nostr” and a base64-encoded event of kind 27235 for this URL and method",
  },
};

const REFUSAL = { "application/json": { schema: { $ref: "#/components/schemas/Answer" } } };

/** The OpenAPI 3.1 document of the routes below the relay's public URLs: made from the table that answers requests, so it cannot tell of others. */
export function openapi(routes: Routes, version: string, urls: readonly string[]): object {
  const paths = Object.entries(routes).map(([path, methods]) => [
    path,
    Object.fromEntries(
      Object.entries(methods).map(([method, operation]) => [
        method.toLowerCase(),
        describe(operation, method),
      ]),
    ),
  ]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Dead Drop",
      description:
        "The HTTP door of a Nostr relay that holds private messages until they are picked up.",
      version,
    },
    // Without any it is where this document was found.
    ...(urls.length > 0 && { servers: urls.map((url) => ({ url: httpUrlOf(url) })) }),
    paths: Object.fromEntries(paths),
    components: {
      schemas: { Event: EVENT_SCHEMA, Answer: ANSWER_SCHEMA },
      securitySchemes: SCHEMES,
    },
  };
}

// Paths are put behind it as they are.
function httpUrlOf(url: string): string {
  const { host = "", path = "" } = ownUrl(url) ?? {};
  return `${/^wss:/i.test(url) ? "https" : "http"}://${host}${path}`;
}

function describe(operation: Operation, method: string): object {
  const { summary, parameters = [], takes, statuses, answers, isAuthorized, isCounted } = operation;
  const all = isCounted ? { 429: "rate-limited: slow down", ...statuses } : statuses;
  const responses = Object.entries(all).map(([status, description]) => {
    if (method === "HEAD") return [status, { description }];
    // What is not counted has no refusals, and says how it is in words.
    const isRefusal = Number(status) >= 300 && isCounted;
    return [status, { description, content: isRefusal ? REFUSAL : contentOf(answers) }];
  });
  return {
    summary,
    parameters: parameters.map(({ name, in: place, description, schema }) => ({
      name,
      in: place,
      description,
      schema,
      required: place === "path",
    })),
    ...(takes !== undefined && {
      requestBody: {
        description: takes,
        required: true,
        content: { "application/json": { schema: { $ref: "#/components/schemas/Event" } } },
      },
    }),
    responses: Object.fromEntries(responses),
    ...(isAuthorized === true && { security: [{ nip98: [] }] }),
  };
}

function contentOf(types: readonly string[]): object {
  return Object.fromEntries(types.map((type) => [type, {}]));
}
