// A relay in this process that holds one drop, which nobody but its recipient may ever be shown.

import { finalizeEvent, getPublicKey } from "nostr-tools/pure";

import { relayInProcess, URL } from "../worlds/in-process.ts";

const BOB = new Uint8Array(32).fill(11);
/** The recipient. */
export const BOX = getPublicKey(BOB);
/** What nobody else is shown. */
export const CONTENT = "the fox is in the barn";

let fault: unknown;

/** What the relay took for a fault of its own since it was last asked. */
export function faultSince(): unknown {
  const since = fault;
  fault = undefined;
  return since;
}

export const { relay, answer, now } = await relayInProcess((details) => {
  fault = details;
});

const wrap = { kind: 1059, created_at: now(), tags: [["p", BOX]], content: CONTENT };
export const HELD = finalizeEvent(wrap, new Uint8Array(32).fill(12));
await relay.host.publisher.publish(JSON.stringify(["EVENT", HELD]), "127.0.0.1");

/** The recipient's authorization of a request. */
export function authorization(target: string): string {
  const tags = [
    ["u", URL.replace("ws", "http") + target],
    ["method", "GET"],
  ];
  const event = finalizeEvent({ kind: 27_235, created_at: now(), tags, content: "" }, BOB);
  return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
}

/** What the recipient acknowledges something else with. */
export const ACKNOWLEDGEMENT = finalizeEvent(
  { kind: 20_221, created_at: now(), tags: [["e", "ab".repeat(32)]], content: "" },
  BOB,
);
