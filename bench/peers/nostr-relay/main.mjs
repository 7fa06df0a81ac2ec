// The smallest relay that @nostr-relay can be: `node main.mjs <database file> <port>`. Run from the cache, where its packages are.
//
// JavaScript, since the type checker of this project does not see those packages.

import { createServer } from "node:http";

import common from "@nostr-relay/common";
import core from "@nostr-relay/core";
import sqlite from "@nostr-relay/event-repository-sqlite";
import validation from "@nostr-relay/validator";
import BetterSqlite3 from "better-sqlite3";
import { WebSocketServer } from "ws";

const HOST = "127.0.0.1";
const [file, port] = process.argv.slice(2);

const database = new BetterSqlite3(file);
// The journal mode is what the library sets on a file name. FULL is ours: better-sqlite3 lowers it to NORMAL, under which a power cut loses
// events that got their OK, and what is measured beside it is durable.
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
const repository = new sqlite.EventRepositorySqlite(database);
await repository.init();

const relay = new core.NostrRelay(repository, {
  hostname: HOST,
  logLevel: common.LogLevel.WARN,
});
const validator = new validation.Validator();

const http = createServer((_, response) => {
  response.writeHead(200, { "content-type": "application/nostr+json" });
  response.end(
    JSON.stringify({
      name: "@nostr-relay",
      software: "https://github.com/CodyTseng/nostr-relay",
      supported_nips: [1, 9, 11, 26, 40, 42, 50],
    }),
  );
});

new WebSocketServer({ server: http }).on("connection", (socket, request) => {
  const handle = async (bytes) => {
    try {
      await relay.handleMessage(socket, await validator.validateIncomingMessage(bytes));
    } catch (error) {
      socket.send(JSON.stringify(common.createOutgoingNoticeMessage(String(error.message))));
    }
  };
  socket.on("message", (bytes) => void handle(bytes));
  socket.on("close", () => relay.handleDisconnect(socket));
  socket.on("error", () => socket.terminate());
  relay.handleConnection(socket, request.socket.remoteAddress);
});

http.listen(Number(port), HOST);

async function close() {
  http.close();
  await relay.destroy();
  await repository.destroy();
  process.exit(0);
}
process.once("SIGTERM", () => void close());
