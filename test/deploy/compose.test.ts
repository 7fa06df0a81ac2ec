// docker-compose.yml, as the engines read it; .ci/check-container holds it against the specification.

import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const ROOT = new URL("../../", import.meta.url);

type Service = {
  readonly env_file: readonly { readonly path: string; readonly required: boolean }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly mem_limit: string;
  readonly logging: { readonly options: Readonly<Record<string, string>> };
};

const { services } = parse(readFileSync(new URL("docker-compose.yml", ROOT), "utf8")) as {
  services: { relay: Service };
};
const { relay } = services;

describe("docker-compose.yml", () => {
  it("takes every setting from .env, which need not be there", () => {
    expect(relay.env_file).toEqual([{ path: ".env", required: false }]);
  });

  // What stands in both wins over .env: each of these is a setting that an operator cannot make there.
  it("says itself only what the container decides", () => {
    expect(Object.keys(relay.environment)).toEqual(["DEADDROP_LISTEN", "DEADDROP_DATA"]);
  });

  it("bounds the memory and the log", () => {
    expect(relay.mem_limit).toMatch(/^\d+g$/);
    expect(relay.logging.options["max-size"]).toMatch(/^\d+m$/);
    expect(Number(relay.logging.options["max-file"])).toBeGreaterThan(0);
  });
});
