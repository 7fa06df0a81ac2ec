// docker-compose.yml, as the engines read it; .ci/check-container holds it against the specification, and .ci/new-user/compose runs it.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { programAt } from "./program.ts";

const ROOT = new URL("../../", import.meta.url);

type Service = {
  readonly image?: string;
  readonly build?: object;
  readonly profiles?: readonly string[];
  readonly env_file?: readonly { readonly path: string; readonly required: boolean }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly networks: readonly string[] | Readonly<Record<string, unknown>>;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly mem_limit: string;
  readonly logging: { readonly options: Readonly<Record<string, string>> };
};

const { services, networks } = parse(readFileSync(new URL("docker-compose.yml", ROOT), "utf8"), {
  merge: true,
}) as {
  services: Readonly<Record<string, Service>> & { readonly relay: Service };
  networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
};
const { relay } = services;

describe("docker-compose.yml", () => {
  it("takes every setting from .env, which need not be there", () => {
    expect(relay.env_file).toEqual([{ path: ".env", required: false }]);
  });

  // What stands in both wins over .env: each of these is a setting that an operator cannot make there, but the two that are made of what is there.
  it("says itself only what the container decides", () => {
    const { DEADDROP_URL: url, DEADDROP_ALIASES: aliases, ...rest } = relay.environment;
    expect(Object.keys(rest)).toEqual(["DEADDROP_LISTEN", "DEADDROP_DATA", "DEADDROP_METRICS"]);
    expect(url).toMatch(/^\$\{DEADDROP_URL:-/);
    expect(aliases).toMatch(/^\$\{DEADDROP_ALIASES:-\}/);
  });

  it("starts the relay alone where no profile is asked for", () => {
    const profiles = Object.entries(services).map(([name, service]) => [name, service.profiles]);
    expect(Object.fromEntries(profiles)).toEqual({
      relay: undefined,
      caddy: ["tls"],
      tor: ["tor"],
      prometheus: ["monitoring"],
      grafana: ["monitoring"],
    });
  });

  it.each(Object.entries(services))("bounds what %s may take and do", (_, service) => {
    expect(service.mem_limit).toMatch(/^\d+[gm]$/);
    expect(service.logging.options["max-size"]).toMatch(/^\d+m$/);
    expect(Number(service.logging.options["max-file"])).toBeGreaterThan(0);
    expect(service.cap_drop).toEqual(["ALL"]);
    expect(service.security_opt).toEqual(["no-new-privileges:true"]);
  });

  it("pins the images of others to a version", () => {
    const images = Object.values(services).flatMap(({ image }) => image ?? []);
    expect(images).toHaveLength(3);
    for (const image of images)
      expect(image).toMatch(/^docker\.io\/[a-z/]+:v?\d+\.\d+\.\d+[a-z-]*$/);
  });

  it("publishes neither what is believed who it speaks for nor the metrics", () => {
    const listen = relay.environment["DEADDROP_LISTEN"] ?? "";
    expect([...listen.matchAll(/:(\d+)(?: (\w+))?/g)].map(([, ...found]) => found)).toEqual([
      ["7777", undefined],
      ["7778", "proxy"],
      ["7779", "tor"],
    ]);
    expect(relay.ports).toEqual([
      expect.stringMatching(/^\$\{PUBLISH_RELAY:-127\.0\.0\.1:\d+\}:7777$/),
    ]);
    expect(services["prometheus"]?.ports).toBe(undefined);
    const { default: open, ...others } = networks;
    expect(open).toBe(null);
    for (const network of Object.values(others)) expect(network?.internal).toBe(true);
  });
});

const caddy = programAt("caddy");

describe.skipIf(caddy === undefined)("deploy/compose/Caddyfile", () => {
  const FILE = new URL("deploy/compose/Caddyfile", ROOT).pathname;
  const adapted = (tls: string): string =>
    execFileSync(caddy ?? "", ["adapt", "--config", FILE, "--adapter", "caddyfile"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { DEADDROP_DOMAIN: "relay.example.com", CADDY_TLS: tls },
    });

  it("asks for https at the domain, and differs in a line when the certificate is Caddy's own", () => {
    const [open, internal] = [adapted(""), adapted("tls internal")];
    for (const text of [open, internal]) {
      expect(text).toContain('"listen":[":443"]');
      expect(text).toContain('"host":["relay.example.com"]');
      expect(text).toContain('"dial":"relay:7778"');
    }
    expect(open).not.toContain('"module":"internal"');
    expect(internal).toContain('"module":"internal"');
  });

  it("is written as Caddy writes it", () => {
    expect(() => execFileSync(caddy ?? "", ["fmt", "--diff", FILE])).not.toThrow();
  });
});
