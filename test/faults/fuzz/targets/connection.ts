// All that a client says on one connection, a message a line, without ever proving a key: everything that is said to it is a message, and what is held is in none.

import { setImmediate as turn } from "node:timers/promises";

import { ACKNOWLEDGEMENT, BOX, CONTENT, faultSince, HELD, relay } from "../held.ts";
import { must, type Target } from "../target.ts";

const VERBS: ReadonlySet<unknown> = new Set([
  "OK",
  "EOSE",
  "CLOSED",
  "NOTICE",
  "AUTH",
  "COUNT",
  "NEG-MSG",
  "NEG-ERR",
]);

function lines(...messages: unknown[]): string {
  return messages.map((message) => JSON.stringify(message)).join("\n");
}

export const target: Target = {
  seeds: [
    lines(["REQ", "x", {}], ["COUNT", "y", { "#p": [BOX] }], ["CLOSE", "x"]),
    lines(["REQ", "x", { ids: [HELD.id] }], ["REQ", "x", { kinds: [1] }]),
    lines(["EVENT", ACKNOWLEDGEMENT], ["EVENT", ACKNOWLEDGEMENT]),
    lines(["AUTH", { ...ACKNOWLEDGEMENT, kind: 22_242 }], ["REQ", "x", { kinds: [] }]),
    lines(
      ["NEG-OPEN", "n", { kinds: [] }, "6100000200"],
      ["NEG-MSG", "n", "61"],
      ["NEG-CLOSE", "n"],
    ),
    '["EVENT",{"id":"x"}]\n["EVENT",',
  ],
  words: [
    '["REQ",',
    '["COUNT",',
    '["NEG-OPEN",',
    '["NEG-MSG",',
    '["CLOSE","x"]',
    '["EVENT",',
    '["AUTH",',
    "\n",
    `"#p":["${BOX}"]`,
    `"ids":["${HELD.id}"]`,
    '"kinds":[]',
    '"limit":0',
    "{}",
    "]",
    '"x"',
  ],
  maxChars: 2_048,
  steps: { fixed: 200_000, perChar: 40 },
  async check(text) {
    const heard: string[] = [];
    const handlers = relay.connected({
      address: "127.0.0.1",
      bufferedBytes: 0,
      send: (message) => void heard.push(message),
      cork: (work) => work(),
      ping: () => {},
      close: () => {},
      terminate: () => {},
    });
    for (const message of text.split("\n")) handlers.received(message);
    for (let turns = 0; turns < 4; turns++) await turn();
    handlers.closed();
    must(faultSince() === undefined, "a fault of the relay's own");
    for (const message of heard) {
      const [verb] = JSON.parse(message) as unknown[];
      must(VERBS.has(verb), "no message to one without a key");
      must(text.includes(CONTENT) || !message.includes(CONTENT), "shown to another");
    }
  },
};
