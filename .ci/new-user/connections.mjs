// How the relay takes one connection after another of the same client, each of which says to come from somewhere else: prints the answers, 101 or a status,
// and then keeps them open until it is ended.
//
//     connections.mjs URL COUNT [SOCKS_PORT NAME…]     through a proxy, COUNT as each of the names: on as many circuits

import { createRequire } from "node:module";
import { join } from "node:path";

// Beside the relay, where what it depends on is.
const require = createRequire(join(process.cwd(), "package.json"));
const { WebSocket } = require("ws");
const { SocksClient } = require("socks");

const [url, count, socksPort, ...names] = process.argv.slice(2);

async function through(name) {
  const { hostname, port } = new URL(url);
  const { socket } = await SocksClient.createConnection({
    proxy: { host: "127.0.0.1", port: Number(socksPort), type: 5, userId: name, password: name },
    command: "connect",
    destination: { host: hostname, port: Number(port || 80) },
  });
  return socket;
}

async function open(name, attempt) {
  const headers = { "x-forwarded-for": `203.0.113.${attempt}` };
  const socket = name === undefined ? undefined : await through(name);
  const webSocket = new WebSocket(url, {
    headers,
    ...(socket !== undefined && { createConnection: () => socket }),
  });
  return new Promise((resolve) => {
    webSocket.once("open", () => resolve(101));
    webSocket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode));
    webSocket.once("error", (error) => resolve(error.message));
  });
}

const answers = [];
let attempt = 0;
for (const name of names.length > 0 ? names : [undefined]) {
  for (let index = 0; index < Number(count); index++) answers.push(await open(name, ++attempt));
}
console.log(answers.join(" "));
setInterval(() => {}, 60_000);
