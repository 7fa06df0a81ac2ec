// Every setting of the relay: its name, what it means, its unit, its default, and what is allowed. The YAML file, the environment, the documentation
// that `deaddrop config --example` prints and the limits in NIP-11 all come from this one schema.

import { z } from "zod";

import {
  bytes,
  count,
  duration,
  endpoint,
  key,
  listenAddress,
  listOf,
  oneOf,
  seconds,
  size,
  WS_URL,
  wsUrl,
  yesOrNo,
} from "./values.ts";

const network = z.union(
  [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
  "addresses or networks, such as 10.0.0.0/8",
);

const limits = z.strictObject({
  messageBytes: bytes
    .prefault("128KiB")
    .describe("One WebSocket message, bytes. More closes the connection."),
  eventBytes: bytes
    .prefault("64KiB")
    .describe("One drop as JSON, bytes. Acknowledgements may fill a message."),
  tags: count(1).prefault(100).describe("Tags of a drop."),
  filters: count(1).prefault(20).describe("Filters in one REQ or COUNT."),
  filterValues: count(1).prefault(1_000).describe("Values in one list of a filter."),
  subscriptions: count(1).prefault(32).describe("Open subscriptions of one connection."),
  authKeys: count(1).prefault(1_000).describe("Keys authenticated on one connection."),
  acknowledgementIds: count(1).prefault(1_000).describe("Ids in one acknowledgement or deletion."),
  earlyTombstones: count(0)
    .prefault(10_000)
    .describe("Ids one key may acknowledge before their drops come, and requests to vanish."),
  earlyTombstonesInAll: count(0)
    .prefault(1_000_000)
    .describe(
      "Ids that all keys together may acknowledge before their drops come, and requests to vanish.",
    ),
  boxDrops: count(1).prefault(5_000).describe("Drops held for one recipient."),
  boxBytes: bytes.prefault("64MiB").describe("Drops held for one recipient, bytes."),
  limit: count(1)
    .prefault(5_000)
    .describe("Stored drops that one filter returns; a filter's own `limit` is capped by it."),
  reconcile: count(1)
    .prefault(20_000)
    .describe("Stored drops that one reconciliation (NIP-77) may be about."),
  outboxBytes: bytes
    .prefault("4MiB")
    .describe("What may wait for a slow reader before it is cut off, bytes."),
  inbox: count(1)
    .prefault(1_024)
    .describe("Messages of one connection that wait for their answer."),
  inboxBytes: bytes
    .prefault("4MiB")
    .describe("Messages of one connection that wait for their answer, bytes."),
  filterBytes: bytes
    .prefault("1MiB")
    .describe("What the filters of one connection's subscriptions take, bytes of memory."),
  memoryPerAddress: size
    .prefault("32MiB")
    .describe(
      "What one address has kept in memory, bytes: filters, keys, open reconciliations, messages that wait, answers that are not read.",
    ),
  memory: size.prefault("256MiB").describe("The same of all addresses together, bytes."),
  connections: count(1)
    .prefault(50_000)
    .describe("Open connections, and HTTP requests being answered, in all."),
  connectionsPerAddress: count(1)
    .prefault(64)
    .describe(
      "Open connections, and HTTP requests being answered, of one address (IPv6: one /64).",
    ),
  dropsPerSecond: count(0)
    .prefault(20)
    .describe("Events one address may publish in a second, on average. 0: no limit."),
  dropsBurst: count(1).prefault(400).describe("Events one address may publish at once."),
  bytesPerSecond: bytes
    .prefault("32KiB")
    .describe("Bytes of events one address may publish in a second, on average. 0: no limit."),
  bytesBurst: bytes.prefault("16MiB").describe("Bytes of events one address may publish at once."),
  requestsPerSecond: count(0)
    .prefault(100)
    .describe(
      "Messages other than EVENT, and HTTP requests, of one address in a second, on average. 0: no limit.",
    ),
  requestsBurst: count(1)
    .prefault(4_000)
    .describe("Messages other than EVENT, and HTTP requests, of one address at once."),
  waitSeconds: seconds
    .prefault("45s")
    .describe(
      "How long a pickup over HTTP may wait for a drop. Less than proxies wait for an answer, which by default is 60 s for most.",
    ),
  verifying: count(64)
    .prefault(20_000)
    .describe("Events that wait for their signature check, all connections together."),
  handshakeSeconds: seconds
    .prefault("10s")
    .describe("How long a peer may take to open a connection. With uws it is always about 10 s."),
  pingSeconds: seconds.prefault("30s").describe("How often a connection is pinged."),
  deadSeconds: seconds
    .prefault("75s")
    .describe("A connection that was silent for so long is closed."),
  diskReserveBytes: bytes
    .prefault("512MiB")
    .describe("Free disk space that drops do not touch. Acknowledgements may use half of it."),
});

export const schema = z.strictObject({
  listen: listOf(listenAddress)
    .refine((addresses) => addresses.length > 0, "at least one address and port")
    .prefault("127.0.0.1:7777")
    .describe(
      "Where clients connect: one or more addresses with a port. A word after one (127.0.0.1:7779 tor) says who connects there. proxy: a proxy, whose X-Forwarded-For is believed. tor: Tor with HiddenServiceExportCircuitID haproxy, which names the circuit of each connection; a circuit then counts like an address.",
    ),
  data: z.string().min(1, "a folder").prefault("./data").describe("The folder of the store."),
  storeSecret: z
    .string()
    .regex(/^$|^(file|env|command):./, "file:, env: or command: and where it is")
    .prefault("")
    .describe(
      "Where the secret under which the store is written is read: 64 hex digits in a file (file:/run/secrets/deaddrop), an environment variable (env:NAME), or what a command prints (command:tpm2_unseal -c 0x81010001). Empty: the file `secret` in `data`, made at the first start; who takes the disk then has it too.",
    ),
  url: z
    .union([z.literal(""), wsUrl], WS_URL)
    .prefault("")
    .describe(
      "The relay's public URL. AUTH and requests to vanish are checked against its host, NIP-98 against its path too, below which everything is served. Empty: what `listen` gives.",
    ),
  aliases: listOf(wsUrl).prefault([]).describe("Further URLs under which the relay is known."),
  name: z.string().prefault("Dead Drop").describe("NIP-11: the relay's name."),
  description: z
    .string()
    .prefault("Holds private messages until their recipients pick them up.")
    .describe("NIP-11: what users should know."),
  icon: z.string().prefault("").describe("NIP-11: the URL of a square picture."),
  contact: z.string().prefault("").describe("NIP-11: a URI of the operator."),
  pubkey: z
    .union([z.literal(""), key], "a public key: npub1… or 64 lowercase hex digits")
    .prefault("")
    .describe("NIP-11: the operator's key."),
  retention: duration
    .prefault("30d")
    .describe(
      "How long a drop without an expiration tag is held at most, counted from two days after its created_at.",
    ),
  transport: oneOf("ws", "uws")
    .prefault("ws")
    .describe("ws, or uws where uWebSockets.js is installed."),
  workers: count(1)
    .prefault(1)
    .describe(
      "Event loops, each with its share of the connections. More than one helps where one is busy all the time; limits of one address then hold in each, and those of all connections are divided.",
    ),
  verifiers: count(0)
    .prefault(0)
    .describe(
      "Threads that check signatures, all event loops together, at least one each. 0: as many as there are cores.",
    ),
  verifier: oneOf("auto", "native", "wasm", "plain")
    .prefault("auto")
    .describe("What checks signatures. auto: the fastest that passes its self-test."),
  metrics: z
    .union([z.literal(""), endpoint], "an address and a port, or empty")
    .prefault("")
    .describe("Where Prometheus metrics are served. Empty: nowhere. Never on the public address."),
  metricsStep: count(1)
    .prefault(100)
    .describe(
      "What moves when somebody picks up is shown in steps of so many, and late: docs/METRICS.md. 1: as it is and at once, for metrics that nobody else sees.",
    ),
  trustedProxies: listOf(network)
    .prefault([])
    .describe("Proxies whose X-Forwarded-For is believed."),
  blockedNetworks: listOf(network)
    .prefault([])
    .describe("Addresses and networks that are not let in."),
  proofOfWork: count(0)
    .prefault(0)
    .describe(
      "Leading zero bits (NIP-13) that the id of a drop must have and its nonce tag commit to.",
    ),
  allowedRecipients: listOf(key)
    .prefault([])
    .describe("If any are named, drops for others are refused."),
  deniedRecipients: listOf(key).prefault([]).describe("Drops for these are refused."),
  deniedAuthors: listOf(key)
    .prefault([])
    .describe("Messages of kind 4 by these are refused. Who wrote a gift wrap nobody knows."),
  admins: listOf(key)
    .prefault([])
    .describe(
      "Keys that may steer the relay while it runs (NIP-86, deaddrop admin): whom it serves, whom it lets in, what it is called. Empty: nobody.",
    ),
  authorDeletesWraps: yesOrNo
    .prefault(false)
    .describe(
      "Whether the key that signed a gift wrap may delete it (NIP-09). A wrap belongs to its recipient: false.",
    ),
  sweepSeconds: seconds.prefault("60s").describe("How often what is past is deleted from disk."),
  log: oneOf("debug", "info", "warn", "error", "silent")
    .prefault("info")
    .describe("The least severity that is logged."),
  limits: limits.prefault({}).describe("What a stranger can send, open or hold."),
});

export type Config = z.output<typeof schema>;
