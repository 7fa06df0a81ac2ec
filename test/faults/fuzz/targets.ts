import type { Target } from "./target.ts";

/** What is fuzzed, by its name. Each is loaded alone, so that only the branches it may take are counted. */
export const TARGETS: Readonly<Record<string, () => Promise<Target>>> = {
  message: async () => (await import("./targets/message.ts")).target,
  event: async () => (await import("./targets/event.ts")).target,
  filter: async () => (await import("./targets/filter.ts")).target,
  negentropy: async () => (await import("./targets/negentropy.ts")).target,
  url: async () => (await import("./targets/url.ts")).target,
  "pickup-query": async () => (await import("./targets/pickup-query.ts")).target,
  "http-auth": async () => (await import("./targets/http-auth.ts")).target,
  authorization: async () => (await import("./targets/authorization.ts")).target,
  door: async () => (await import("./targets/door.ts")).target,
  connection: async () => (await import("./targets/connection.ts")).target,
  config: async () => (await import("./targets/config.ts")).target,
};
