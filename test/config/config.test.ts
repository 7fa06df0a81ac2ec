import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { nip19 } from "nostr-tools";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";

import { ConfigError, loadConfig } from "../../src/config/load.ts";
import { printConfig, printEnvironmentExample, printExample } from "../../src/config/print.ts";
import type { Config } from "../../src/config/schema.ts";
import { temporaryFolder } from "../support/relay.ts";

const KEY = "0123456789abcdef".repeat(4);
const OTHER_KEY = "fedcba9876543210".repeat(4);
const NPUB = nip19.npubEncode(KEY);

type Row = {
  /** Dotted, as messages name it. */
  readonly key: string;
  readonly variable: string;
  readonly initially: unknown;
  /** As a file and as a variable give it, and what becomes of it. Neither the default. */
  readonly given: unknown;
  readonly text: string;
  readonly becomes: unknown;
  readonly bad: string;
  readonly allowed: RegExp;
};

const DURATION = /a duration: (seconds, or )?a number with s, m, h or d/;
const SIZE = /a size: (bytes, or )?a number with KiB, MiB or GiB/;
const URLS = /a ws:\/\/ or wss:\/\/ URL/;
const PUBLIC_KEY = /a public key: npub1… or 64 lowercase hex digits/;
const ENDPOINT = /an address and a port/;

function count(key: string, variable: string, initially: number, least: number): Row {
  const allowed = new RegExp(`a whole number of at least ${least}$`);
  const bad = least === 0 ? "-1" : String(least - 1);
  return { key, variable, initially, given: 77, text: "77", becomes: 77, bad, allowed };
}

function size(key: string, variable: string, initially: number): Row {
  const becomes = 70 * 1_024;
  return {
    key,
    variable,
    initially,
    given: "70KiB",
    text: "70KiB",
    becomes,
    bad: "70KB",
    allowed: SIZE,
  };
}

function duration(key: string, variable: string, initially: number): Row {
  const [given, bad, allowed] = ["50s", "soon", DURATION];
  return { key, variable, initially, given, text: given, becomes: 50, bad, allowed };
}

const MIB = 2 ** 20;
const ROWS: readonly Row[] = [
  {
    key: "listen",
    variable: "DEADDROP_LISTEN",
    initially: [{ host: "127.0.0.1", port: 7777, from: "anybody" }],
    given: ["[::1]:80", "127.0.0.1:81 proxy"],
    text: "[::1]:80, 127.0.0.1:81 proxy",
    becomes: [
      { host: "::1", port: 80, from: "anybody" },
      { host: "127.0.0.1", port: 81, from: "proxy" },
    ],
    bad: "7777",
    allowed: ENDPOINT,
  },
  {
    key: "data",
    variable: "DEADDROP_DATA",
    initially: "./data",
    given: "/srv/drops",
    text: "/srv/drops",
    becomes: "/srv/drops",
    bad: "",
    allowed: /a folder/,
  },
  {
    key: "storeSecret",
    variable: "DEADDROP_STORE_SECRET",
    initially: "",
    given: "file:/run/secrets/deaddrop",
    text: "file:/run/secrets/deaddrop",
    becomes: "file:/run/secrets/deaddrop",
    bad: "/run/secrets/deaddrop",
    allowed: /file:, env: or command: and where it is/,
  },
  {
    key: "url",
    variable: "DEADDROP_URL",
    initially: "",
    given: "wss://a.example",
    text: "wss://a.example",
    becomes: "wss://a.example",
    bad: "https://a.example",
    allowed: URLS,
  },
  {
    key: "aliases",
    variable: "DEADDROP_ALIASES",
    initially: [],
    given: ["wss://a.example", "ws://b.example"],
    text: "wss://a.example, ws://b.example,",
    becomes: ["wss://a.example", "ws://b.example"],
    bad: "a.example",
    allowed: URLS,
  },
  {
    key: "name",
    variable: "DEADDROP_NAME",
    initially: "Dead Drop",
    given: "Ours",
    text: "Ours",
    becomes: "Ours",
    // A variable is always text; what no text can be is tested with a file.
    bad: "",
    allowed: /./,
  },
  {
    key: "description",
    variable: "DEADDROP_DESCRIPTION",
    initially: "Holds private messages until their recipients pick them up.",
    given: "Be kind.",
    text: "Be kind.",
    becomes: "Be kind.",
    bad: "",
    allowed: /./,
  },
  {
    key: "icon",
    variable: "DEADDROP_ICON",
    initially: "",
    given: "https://a.example/icon.png",
    text: "https://a.example/icon.png",
    becomes: "https://a.example/icon.png",
    bad: "",
    allowed: /./,
  },
  {
    key: "contact",
    variable: "DEADDROP_CONTACT",
    initially: "",
    given: "mailto:a@b.example",
    text: "mailto:a@b.example",
    becomes: "mailto:a@b.example",
    bad: "",
    allowed: /./,
  },
  {
    key: "pubkey",
    variable: "DEADDROP_PUBKEY",
    initially: "",
    given: NPUB,
    text: KEY,
    becomes: KEY,
    bad: KEY.toUpperCase(),
    allowed: PUBLIC_KEY,
  },
  duration("retention", "DEADDROP_RETENTION", 30 * 86_400),
  {
    key: "transport",
    variable: "DEADDROP_TRANSPORT",
    initially: "ws",
    given: "uws",
    text: "uws",
    becomes: "uws",
    bad: "tcp",
    allowed: /one of ws, uws$/,
  },
  count("workers", "DEADDROP_WORKERS", 1, 1),
  count("verifiers", "DEADDROP_VERIFIERS", 0, 0),
  {
    key: "verifier",
    variable: "DEADDROP_VERIFIER",
    initially: "auto",
    given: "plain",
    text: "plain",
    becomes: "plain",
    bad: "Native",
    allowed: /one of auto, native, wasm, plain$/,
  },
  {
    key: "metrics",
    variable: "DEADDROP_METRICS",
    initially: "",
    given: "127.0.0.1:9100",
    text: "127.0.0.1:9100",
    becomes: { host: "127.0.0.1", port: 9100 },
    bad: "9100",
    allowed: ENDPOINT,
  },
  count("metricsStep", "DEADDROP_METRICS_STEP", 100, 1),
  {
    key: "trustedProxies",
    variable: "DEADDROP_TRUSTED_PROXIES",
    initially: [],
    given: ["10.0.0.0/8", "::1"],
    text: "10.0.0.0/8,::1",
    becomes: ["10.0.0.0/8", "::1"],
    bad: "proxy.example",
    allowed: /addresses or networks/,
  },
  {
    key: "blockedNetworks",
    variable: "DEADDROP_BLOCKED_NETWORKS",
    initially: [],
    given: ["192.0.2.0/24", "2001:db8::/32"],
    text: "192.0.2.0/24,2001:db8::/32",
    becomes: ["192.0.2.0/24", "2001:db8::/32"],
    bad: "192.0.2.0/33",
    allowed: /addresses or networks/,
  },
  count("proofOfWork", "DEADDROP_PROOF_OF_WORK", 0, 0),
  {
    key: "allowedRecipients",
    variable: "DEADDROP_ALLOWED_RECIPIENTS",
    initially: [],
    given: [NPUB, OTHER_KEY],
    text: `${NPUB},${OTHER_KEY}`,
    becomes: [KEY, OTHER_KEY],
    bad: "alice",
    allowed: PUBLIC_KEY,
  },
  {
    key: "deniedRecipients",
    variable: "DEADDROP_DENIED_RECIPIENTS",
    initially: [],
    given: [KEY],
    text: KEY,
    becomes: [KEY],
    bad: KEY.slice(1),
    allowed: PUBLIC_KEY,
  },
  {
    key: "deniedAuthors",
    variable: "DEADDROP_DENIED_AUTHORS",
    initially: [],
    given: [NPUB],
    text: NPUB,
    becomes: [KEY],
    bad: "mallory",
    allowed: PUBLIC_KEY,
  },
  {
    key: "admins",
    variable: "DEADDROP_ADMINS",
    initially: [],
    given: [OTHER_KEY, NPUB],
    text: `${OTHER_KEY},${NPUB}`,
    becomes: [OTHER_KEY, KEY],
    bad: "root",
    allowed: PUBLIC_KEY,
  },
  {
    key: "authorDeletesWraps",
    variable: "DEADDROP_AUTHOR_DELETES_WRAPS",
    initially: false,
    given: true,
    text: "true",
    becomes: true,
    bad: "yes",
    allowed: /true or false/,
  },
  duration("sweepSeconds", "DEADDROP_SWEEP_SECONDS", 60),
  {
    key: "log",
    variable: "DEADDROP_LOG",
    initially: "info",
    given: "warn",
    text: "warn",
    becomes: "warn",
    bad: "loud",
    allowed: /one of debug, info, warn, error, silent$/,
  },
  size("limits.messageBytes", "DEADDROP_LIMITS_MESSAGE_BYTES", 128 * 1_024),
  size("limits.eventBytes", "DEADDROP_LIMITS_EVENT_BYTES", 64 * 1_024),
  count("limits.tags", "DEADDROP_LIMITS_TAGS", 100, 1),
  count("limits.filters", "DEADDROP_LIMITS_FILTERS", 20, 1),
  count("limits.filterValues", "DEADDROP_LIMITS_FILTER_VALUES", 1_000, 1),
  count("limits.subscriptions", "DEADDROP_LIMITS_SUBSCRIPTIONS", 32, 1),
  count("limits.authKeys", "DEADDROP_LIMITS_AUTH_KEYS", 1_000, 1),
  count("limits.acknowledgementIds", "DEADDROP_LIMITS_ACKNOWLEDGEMENT_IDS", 1_000, 1),
  count("limits.earlyTombstones", "DEADDROP_LIMITS_EARLY_TOMBSTONES", 10_000, 0),
  count("limits.earlyTombstonesInAll", "DEADDROP_LIMITS_EARLY_TOMBSTONES_IN_ALL", 1_000_000, 0),
  count("limits.boxDrops", "DEADDROP_LIMITS_BOX_DROPS", 5_000, 1),
  size("limits.boxBytes", "DEADDROP_LIMITS_BOX_BYTES", 64 * MIB),
  count("limits.limit", "DEADDROP_LIMITS_LIMIT", 5_000, 1),
  count("limits.reconcile", "DEADDROP_LIMITS_RECONCILE", 20_000, 1),
  {
    ...size("limits.outboxBytes", "DEADDROP_LIMITS_OUTBOX_BYTES", 4 * MIB),
    given: "1 MiB",
    text: "1MiB",
    becomes: MIB,
  },
  count("limits.inbox", "DEADDROP_LIMITS_INBOX", 1_024, 1),
  size("limits.inboxBytes", "DEADDROP_LIMITS_INBOX_BYTES", 4 * MIB),
  size("limits.filterBytes", "DEADDROP_LIMITS_FILTER_BYTES", MIB),
  {
    ...size("limits.memoryPerAddress", "DEADDROP_LIMITS_MEMORY_PER_ADDRESS", 32 * MIB),
    given: "64 MiB",
    text: "64MiB",
    becomes: 64 * MIB,
  },
  {
    ...size("limits.memory", "DEADDROP_LIMITS_MEMORY", 256 * MIB),
    given: "300 MiB",
    text: "300MiB",
    becomes: 300 * MIB,
  },
  count("limits.connections", "DEADDROP_LIMITS_CONNECTIONS", 50_000, 1),
  count("limits.connectionsPerAddress", "DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS", 64, 1),
  count("limits.dropsPerSecond", "DEADDROP_LIMITS_DROPS_PER_SECOND", 20, 0),
  count("limits.dropsBurst", "DEADDROP_LIMITS_DROPS_BURST", 400, 1),
  size("limits.bytesPerSecond", "DEADDROP_LIMITS_BYTES_PER_SECOND", 32 * 1_024),
  {
    ...size("limits.bytesBurst", "DEADDROP_LIMITS_BYTES_BURST", 16 * MIB),
    given: "1 MiB",
    text: "1MiB",
    becomes: MIB,
  },
  count("limits.requestsPerSecond", "DEADDROP_LIMITS_REQUESTS_PER_SECOND", 100, 0),
  count("limits.requestsBurst", "DEADDROP_LIMITS_REQUESTS_BURST", 4_000, 1),
  duration("limits.waitSeconds", "DEADDROP_LIMITS_WAIT_SECONDS", 45),
  count("limits.verifying", "DEADDROP_LIMITS_VERIFYING", 20_000, 64),
  duration("limits.handshakeSeconds", "DEADDROP_LIMITS_HANDSHAKE_SECONDS", 10),
  duration("limits.pingSeconds", "DEADDROP_LIMITS_PING_SECONDS", 30),
  {
    ...duration("limits.deadSeconds", "DEADDROP_LIMITS_DEAD_SECONDS", 75),
    given: "2m",
    text: "120",
    becomes: 120,
  },
  size("limits.diskReserveBytes", "DEADDROP_LIMITS_DISK_RESERVE_BYTES", 512 * MIB),
];

describe("the configuration", () => {
  it("is given something other than the default by every row", () => {
    expect(ROWS.filter(({ initially, becomes }) => isDeepStrictEqual(initially, becomes))).toEqual(
      [],
    );
  });

  it("has a row in this table for every setting", () => {
    expect(ROWS.map(({ key }) => key)).toEqual(leaves(loadConfig({})));
  });

  it.each(ROWS)("has a default for $key", ({ key, initially }) => {
    expect(at(loadConfig({}), key)).toEqual(initially);
  });

  it.each(ROWS)("takes $key from $variable", ({ key, variable, text, becomes }) => {
    expect(loadConfig({ [variable]: text })).toEqual(withValue(loadConfig({}), key, becomes));
  });

  it.each(ROWS)("takes $key from a file", ({ key, given, becomes }) => {
    const file = fileWith(nested(key, given));
    expect(loadConfig({}, file)).toEqual(withValue(loadConfig({}), key, becomes));
  });

  it("takes what a variable says over what the file says, and the rest of the file", () => {
    const limits = { tags: 5, filters: 6 };
    const file = fileWith({ name: "File", contact: "mailto:a@b.example", limits });
    const config = loadConfig({ DEADDROP_NAME: "Variable", DEADDROP_LIMITS_TAGS: "7" }, file);
    expect(config).toMatchObject({ name: "Variable", contact: "mailto:a@b.example" });
    expect(config.limits).toMatchObject({ tags: 7, filters: 6 });
  });

  it("reads the file that DEADDROP_CONFIG names", () => {
    const file = fileWith({ name: "File" });
    expect(loadConfig({ DEADDROP_CONFIG: file }).name).toBe("File");
  });

  it("looks at no variable without its prefix", () => {
    expect(loadConfig({ LISTEN: "nonsense", PATH: "/bin" })).toEqual(loadConfig({}));
  });

  it.each(ROWS)("takes an empty $variable for none, and the file's $key", (row) => {
    const { key, variable, given, becomes } = row;
    const set = fileWith(nested(key, given));
    for (const empty of ["", " ", "\t\r"]) {
      expect(loadConfig({ [variable]: empty })).toEqual(loadConfig({}));
      expect(at(loadConfig({ [variable]: empty }, set), key)).toEqual(becomes);
    }
  });

  it.each(ROWS)("takes $variable without the blanks around it", ({ variable, text }) => {
    expect(loadConfig({ [variable]: ` ${text} \r` })).toEqual(loadConfig({ [variable]: text }));
  });

  it("takes an empty DEADDROP_CONFIG for none", () => {
    expect(loadConfig({ DEADDROP_CONFIG: "" })).toEqual(loadConfig({}));
  });

  it.each(["", "# nothing but a comment\n", "{}"])(
    "may be a file that sets nothing: %j",
    (text) => {
      expect(loadConfig({}, file(text))).toEqual(loadConfig({}));
    },
  );

  it.each([
    ["90s", 90],
    ["2m", 120],
    ["3h", 10_800],
    ["4d", 345_600],
    ["0", 0],
    [0, 0],
  ])("reads the duration %j", (given, seconds) => {
    expect(loadConfig({}, fileWith({ retention: given })).retention).toBe(seconds);
  });

  it.each([
    ["90", 90],
    [90, 90],
    ["2m", 120],
  ])("reads the duration %j where the name says seconds", (given, seconds) => {
    const config = loadConfig(
      {},
      fileWith({ sweepSeconds: given, limits: { deadSeconds: given } }),
    );
    expect(config.sweepSeconds).toBe(seconds);
    expect(config.limits.deadSeconds).toBe(seconds);
  });

  it.each([
    ["100", 100],
    ["100B", 100],
    ["3KiB", 3_072],
    ["3 MiB", 3_145_728],
    ["3GiB", 3_221_225_472],
    [100, 100],
  ])("reads the size %j", (given, bytes) => {
    const config = loadConfig({}, fileWith({ limits: { diskReserveBytes: given } }));
    expect(config.limits.diskReserveBytes).toBe(bytes);
  });
});

describe("a start with a bad configuration", () => {
  const REFUSABLE = ROWS.filter(({ bad, key }) => bad !== "" || key === "data");

  it.each(REFUSABLE.filter(({ bad }) => bad !== ""))(
    "names $key, its value and what is allowed",
    ({ key, variable, bad, allowed }) => {
      const message = refusal({ [variable]: bad });
      expect(message).toMatch(new RegExp(`^${key}(\\.0)?: `));
      expect(message).toContain(JSON.stringify(bad));
      expect(message).toMatch(allowed);
    },
  );

  it.each(REFUSABLE)("says the same of $key in a file", ({ key, bad, allowed }) => {
    const message = refusal({}, fileWith(nested(key, bad)));
    expect(message).toMatch(new RegExp(`^${key}(\\.0)?: `));
    expect(message).toContain(JSON.stringify(bad));
    expect(message).toMatch(allowed);
  });

  const MEASURED = ROWS.filter(({ allowed }) => allowed === DURATION || allowed === SIZE);

  it.each(MEASURED)("takes a number alone for $key only if the name says the unit", (row) => {
    const { key, variable, allowed } = row;
    const saysUnit = /(Seconds|Bytes|bytesPerSecond|bytesBurst)$/.test(key);
    const units =
      allowed === DURATION ? "600s, 600m, 600h or 600d" : "600MiB, 600KiB, 600GiB or 600B";
    const said = `has no unit: write ${units}`;
    const refusals = saysUnit ? [] : [`${key}: 600 ${said}`, `${key}: "600" ${said}`];
    const heard = [
      complaint({}, fileWith(nested(key, 600))),
      complaint({ [variable]: "600" }),
    ].filter((message) => message.includes("unit"));
    expect(heard).toEqual(refusals);
  });

  it.each(["name", "description", "contact"])("names %s when it is no text", (key) => {
    expect(refusal({}, fileWith({ [key]: 5 }))).toMatch(new RegExp(`^${key}: 5 .*string`));
  });

  it.each(ROWS)("names $key when it holds a group of settings", ({ key }) => {
    const message = refusal({}, fileWith(nested(key, { deeper: 1 })));
    expect(message).toMatch(new RegExp(`${key}.*\\{"deeper":1\\}.*allowed: .`));
  });

  it.each([
    [
      "retention",
      ["1000000000d", "1.5h", "-1", "1w", "30 d", "", "1d12h", "30", 30, "00", -1, 1.5, true],
    ],
    ["limits.memory", ["256", 256, "1.5MiB", "931323GiB"]],
    ["limits.boxBytes", ["1.5MiB", "-1", "1kb", "1MB", "", "0x10", -1, 1.5]],
    ["limits.tags", ["1.5", "ten", "", "1e3", "9999999999999999", 0, -1, 1.5]],
    ["listen", ["127.0.0.1", ":7777", "a b:1", "127.0.0.1:65536", "::1:7777", "ws://x:1", "x:"]],
    ["listen", ["x:1 onion", "x:1 tor proxy", "x:1,x", "", ",", [], ["x:1", 5], ["x:1, x:2"], 5]],
    ["metrics", ["127.0.0.1", "127.0.0.1:65536", 9_100]],
    ["trustedProxies", [["10.0.0.0/33"], ["10.0.0"], ["fd00::/129"], 10]],
    [
      "url",
      [
        "a.example",
        "wss://user@a.example",
        "wss://bücher.example",
        "wss://a.example:",
        "ws://127.1",
      ],
    ],
    ["aliases", [["wss://ok.example", "nonsense"], [5], 5]],
  ])("refuses these for %s: %j", (key, values) => {
    for (const value of values) {
      expect(refusal({}, fileWith(nested(key, value)))).toMatch(new RegExp(`^${key}(\\.\\d)?: `));
    }
  });

  it("quotes a list as it came, in a variable and in a file", () => {
    expect(refusal({ DEADDROP_ALIASES: "wss://ok.example,nonsense" })).toContain(
      '"wss://ok.example,nonsense" is not allowed',
    );
    expect(refusal({}, fileWith({ aliases: ["wss://ok.example", "nonsense"] }))).toContain(
      'aliases.1: "nonsense" is not allowed',
    );
  });

  it("names an unknown variable, and not its value, which may be a secret", () => {
    expect(refusal({ DEADDROP_RETENSION: "30d" })).toBe(
      "unknown setting DEADDROP_RETENSION; see deaddrop config --example",
    );
    expect(refusal({ DEADDROP_LIMITS: "5" })).toContain("unknown setting DEADDROP_LIMITS");
  });

  it("knows the variables from which docker-compose.yml makes its URLs", () => {
    const read = { DEADDROP_DOMAIN: "relay.example.com", DEADDROP_ONION: "example.onion" };
    expect(loadConfig(read)).toEqual(loadConfig({}));
  });

  it("names an unknown key of the file, and of a group", () => {
    expect(refusal({}, fileWith({ retension: "30d" }))).toBe(
      "unknown setting retension; see deaddrop config --example",
    );
    expect(refusal({}, fileWith({ limits: { tag: 5, filter: 6 } }))).toBe(
      "unknown setting limits.tag, limits.filter; see deaddrop config --example",
    );
  });

  it("names everything that is wrong, a line each", () => {
    const message = refusal({}, fileWith({ log: "loud", workers: -1, limits: { tags: 0 } }));
    expect(message.split("\n").map((line) => line.split(":")[0])).toEqual([
      "workers",
      "log",
      "limits.tags",
    ]);
  });

  it("names a group that is none, whatever variables say of its settings", () => {
    const broken = fileWith({ limits: 5 });
    expect(refusal({}, broken)).toMatch(/^limits: 5 is not allowed/);
    expect(refusal({ DEADDROP_LIMITS_TAGS: "5" }, broken)).toMatch(/^limits: 5 is not allowed/);
  });

  it.each([
    ["limits.eventBytes must be less than limits.messageBytes", { eventBytes: "128KiB" }],
    ["limits.messageBytes must be less than limits.outboxBytes", { outboxBytes: "128KiB" }],
    ["limits.messageBytes must not be more than limits.bytesBurst", { bytesBurst: "127KiB" }],
    ["limits.eventBytes must not be more than limits.boxBytes", { boxBytes: 65_535 }],
    ["limits.outboxBytes must not be more than limits.memoryPerAddress", { outboxBytes: "33MiB" }],
    ["limits.memoryPerAddress must not be more than limits.memory", { memoryPerAddress: "1GiB" }],
    ["limits.pingSeconds must be less than limits.deadSeconds", { pingSeconds: 75 }],
    ["limits.handshakeSeconds must be between 1s and 1h", { handshakeSeconds: "30d" }],
  ])("says which settings contradict each other: %s", (message, limits) => {
    expect(refusal({}, fileWith({ limits }))).toBe(message);
  });

  it("names an address that listen has twice, and one for tor where nobody can tell circuits", () => {
    const twice = "127.0.0.1:80, 127.0.0.1:80 proxy";
    expect(refusal({ DEADDROP_LISTEN: twice }, fileWith({}))).toBe(
      "listen must not name an address and port twice",
    );
    expect(loadConfig({ DEADDROP_LISTEN: "127.0.0.1:0, 127.0.0.1:0" }).listen).toHaveLength(2);
    const tor = fileWith({ listen: ["127.0.0.1:80", "127.0.0.1:81 tor"], transport: "uws" });
    expect(refusal({}, tor)).toMatch(/^listen can name an address for tor with transport ws only:/);
  });

  it("names a setting whose value is a part of itself", () => {
    expect(refusal({}, file("name: &a [*a]"))).toMatch(/^name: a value that holds itself is not/);
  });

  it("names a file that is not there, that is not YAML, and that holds no settings", () => {
    expect(refusal({}, "/nowhere/deaddrop.yaml")).toMatch(
      /^cannot read \/nowhere\/deaddrop\.yaml: /,
    );
    const unreadable = file("a: [");
    expect(refusal({}, unreadable)).toContain(`${unreadable} is not YAML: `);
    for (const text of ["- a\n- b\n", "just text", "7"]) {
      const list = file(text);
      expect(refusal({}, list)).toBe(`${list} must hold keys and values`);
    }
  });
});

describe("the configuration that is printed", () => {
  it("reads back as the same, as it is by default", () => {
    const config = loadConfig({});
    expect(loadConfig({}, file(printConfig(config)))).toEqual(config);
  });

  it("reads back as the same when every setting was changed", () => {
    const environment = Object.fromEntries(ROWS.map(({ variable, text }) => [variable, text]));
    // Two that depend on each other.
    const config = loadConfig({ ...environment, DEADDROP_LIMITS_EVENT_BYTES: "60KiB" });
    expect(loadConfig({}, file(printConfig(config)))).toEqual(config);
  });

  it("reads back as the same with the longest times and the largest sizes", () => {
    const limits = { deadSeconds: "999999999d", memory: "931322GiB", boxBytes: "999999999999999" };
    const config = loadConfig({}, fileWith({ retention: "999999999d", limits }));
    expect(loadConfig({}, file(printConfig(config)))).toEqual(config);
  });
});

describe("the example file", () => {
  const example = printExample();

  it("sets nothing as it is", () => {
    expect(loadConfig({}, file(example))).toEqual(loadConfig({}));
  });

  it("sets every default when its settings are uncommented", () => {
    const uncommented = example.replace(/^#(?! \S)/gm, "");
    const written = file(uncommented);
    expect(loadConfig({}, written)).toEqual(loadConfig({}));
    for (const { key } of ROWS) {
      const name = key.split(".").at(-1) ?? "";
      expect(uncommented).toMatch(new RegExp(`^ *${name}: .`, "m"));
    }
  });

  it.each(ROWS)("says what $key means and how its variable is called", ({ key, variable }) => {
    const name = key.split(".").at(-1) ?? "";
    const block = new RegExp(`^ *# \\S.+\\n *# ${variable}\\n# *${name}: .`, "m");
    expect(example).toMatch(block);
  });

  it("shows as default what is the default, read one by one", () => {
    for (const { key, initially } of ROWS) {
      const name = key.split(".").at(-1) ?? "";
      const line = new RegExp(`^# *(${name}: .*)$`, "m").exec(example)?.[1] ?? "";
      const text = key.startsWith("limits.") ? `limits:\n  ${line}` : line;
      expect(at(loadConfig({}, file(text)), key)).toEqual(initially);
    }
  });
});

describe("the example of variables", () => {
  const environment = Object.fromEntries(ROWS.map(({ variable, text }) => [variable, text]));
  // Two that depend on each other.
  const OTHER = loadConfig({ ...environment, DEADDROP_LIMITS_EVENT_BYTES: "60KiB" });
  const example = printEnvironmentExample();
  const given = [...example.matchAll(/^#(DEADDROP_\w+)=(.*)$/gm)].map(
    ([, name = "", value = ""]) => [name, value] as const,
  );

  it("is .env.example as it stands in the project", () => {
    const file = new URL("../../.env.example", import.meta.url);
    expect(readFileSync(file, "utf8")).toBe(example);
  });

  it("sets nothing as it is", () => {
    expect(example).not.toMatch(/^[^#\n]/m);
  });

  it("has every variable once, with its default", () => {
    expect(given.map(([name]) => name)).toEqual(ROWS.map(({ variable }) => variable));
    expect(loadConfig(Object.fromEntries(given))).toEqual(loadConfig({}));
    for (const [index, [name, value]] of given.entries()) {
      const { key, initially } = ROWS[index] as Row;
      expect(at(loadConfig({ [name]: value }, file(printConfig(OTHER))), key)).toEqual(
        value === "" ? at(OTHER, key) : initially,
      );
    }
  });

  it.each(ROWS)("says what $variable means", ({ variable }) => {
    expect(example).toMatch(new RegExp(`^# \\S.+\\n#${variable}=`, "m"));
  });

  // Docker takes quotes for a part of the value, Compose what follows a dollar for a variable and what follows " #" for a comment.
  it("needs no quotes, whoever reads it", () => {
    expect(given.filter(([, value]) => /["'$\\]| #/.test(value))).toEqual([]);
  });
});

// What is said against it, if anything.
function complaint(environment: Record<string, string>, file?: string): string {
  try {
    loadConfig(environment, file);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

function refusal(environment: Record<string, string>, file?: string): string {
  try {
    loadConfig(environment, file);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

function fileWith(settings: object): string {
  return file(stringify(settings));
}

function file(text: string): string {
  const path = join(temporaryFolder(), "deaddrop.yaml");
  writeFileSync(path, text);
  return path;
}

function nested(key: string, value: unknown): object {
  return key.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;
}

function at(config: Config, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>((group, name) => (group as Record<string, unknown>)[name], config);
}

function withValue(config: Config, key: string, value: unknown): unknown {
  const copy = structuredClone(config);
  const path = key.split(".");
  const name = path.pop() ?? "";
  const group = path.length === 0 ? copy : at(copy, path.join("."));
  (group as Record<string, unknown>)[name] = value;
  return copy;
}

// The dotted names of all settings, in their order.
function leaves(config: Config): string[] {
  const { limits, ...rest } = config;
  return [...Object.keys(rest), ...Object.keys(limits).map((name) => `limits.${name}`)];
}
