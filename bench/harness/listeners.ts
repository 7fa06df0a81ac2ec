// Recipients who are connected and listen, in a thread of their own: what comes for them costs whoever measures nothing. Says when all of them listen.

import { parentPort, workerData } from "node:worker_threads";

import { Asking } from "./asking.ts";
import { person } from "./events.ts";
import { frame } from "./wire.ts";

const { url, secrets, from } = workerData as { url: string; secrets: Uint8Array[]; from: number };
for (const [number, secret] of secrets.entries()) {
  const listener = await (await Asking.connect(url, from + number)).authenticate(person(secret));
  await listener.ask(frame('["REQ","live",{}]'));
}
parentPort?.postMessage("listening");
