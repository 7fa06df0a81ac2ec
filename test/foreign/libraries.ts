// The libraries, how their programs are started, and what is known of each: what it has not, and what is its own fault. docs/CLIENTS.md is made of this.

import { existsSync, readFileSync } from "node:fs";

const HERE = new URL("./", import.meta.url);
const INSTALLED = new URL("../../.cache/foreign/", import.meta.url);

/** What every library is asked to do, and the head of its column. */
export const SCENARIOS = {
  send: "sends",
  unasked: "unasked",
  stored: "stored",
  live: "live",
  conversation: "kind 4",
  remove: "deletes",
  restart: "restart",
  crash: "crash",
  backdated: "old dates",
  count: "COUNT",
  reconcile: "NIP-77",
} as const;

export type Scenario = keyof typeof SCENARIOS;

export type Library = {
  readonly name: string;
  /** As its users find it. */
  readonly from: string;
  readonly version: string;
  readonly start: {
    readonly command: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
  /** Installed by `.ci/foreign`. */
  readonly isInstalled: boolean;
  /** Whether it may be missing in CI too. */
  readonly isOptional: boolean;
  /** What it cannot be told to do. */
  readonly absent: readonly Scenario[];
  /** What goes wrong whatever the relay does, and why. */
  readonly faults: Readonly<Partial<Record<Scenario, string>>>;
};

type Known = Pick<Library, "absent" | "faults">;

export const LIBRARIES: readonly Library[] = [
  fromNpm("nostr-tools", "nostr-tools", {
    absent: [],
    faults: {
      crash:
        "takes the `error` of a connection that is cut off, which Node.js's own WebSocket tells of, for one that never was, and gives up.",
      backdated:
        "asks `since` the newest event it has seen when it connects again, and gift wraps are dated back by up to two days.",
    },
  }),
  fromNpm("NDK", "@nostr-dev-kit/ndk", {
    absent: ["reconcile"],
    faults: {
      crash: "gives up when it tries to connect again and is refused.",
    },
  }),
  fromNpm("applesauce", "applesauce-relay", {
    absent: [],
    faults: {
      restart: "takes a connection that the relay closed (1001) for the end of the subscription.",
      reconcile: "sends no NEG-MSG, so nothing that takes more than one round comes to an end.",
    },
  }),
  fromNpm("rx-nostr", "rx-nostr", { absent: ["count", "reconcile"], faults: {} }),
  fromNpm("nostrify", "@nostrify/nostrify", { absent: ["reconcile"], faults: {} }),
  fromNpm("welshman", "@welshman/net", { absent: ["count"], faults: {} }),
  rustNostr({ absent: [], faults: {} }),
  goNostr({
    absent: [],
    faults: {
      backdated:
        "asks `since` the moment at which the connection was lost, and gift wraps are dated back by up to two days.",
    },
  }),
];

function fromNpm(name: string, from: string, known: Known): Library {
  const { dependencies } = JSON.parse(read("package.json")) as {
    dependencies: Record<string, string>;
  };
  const program = name.toLowerCase();
  return {
    name,
    from: `npm ${from}`,
    version: dependencies[from] ?? "",
    start: {
      command: process.execPath,
      args: [new URL(`programs/${program}.mjs`, HERE).pathname],
      env: {},
    },
    isInstalled: existsSync(new URL(`node_modules/${from}/package.json`, HERE)),
    isOptional: false,
    ...known,
  };
}

function rustNostr(known: Known): Library {
  const [, version = ""] = /^nostr-sdk==(.+)$/m.exec(read("requirements.txt")) ?? [];
  const packages = new URL("python/", INSTALLED);
  return {
    name: "rust-nostr",
    from: "PyPI nostr-sdk",
    version,
    start: {
      command: "python3",
      args: [new URL("programs/nostr-sdk.py", HERE).pathname],
      env: { PYTHONPATH: packages.pathname },
    },
    isInstalled: existsSync(new URL("nostr_sdk/", packages)),
    isOptional: false,
    ...known,
  };
}

function goNostr(known: Known): Library {
  const [, version = ""] = /go-nostr v(\S+)/.exec(read("go-nostr/go.mod")) ?? [];
  const program = new URL("go-nostr", INSTALLED);
  return {
    name: "go-nostr",
    from: "Go github.com/nbd-wtf/go-nostr",
    version,
    start: { command: program.pathname, args: [], env: {} },
    isInstalled: existsSync(program),
    isOptional: true,
    ...known,
  };
}

function read(file: string): string {
  return readFileSync(new URL(file, HERE), "utf8");
}
