// A relay in a process of its own, reached over its sockets. Nobody can make its time pass.

import { Client, now } from "../../support/client.ts";
import type { RelayProcess } from "../../support/relay.ts";
import type { Answer, Door, Line, Stream } from "./door.ts";

const MOMENT_MS = 5;
const MOMENTS = 400;

export function overSockets({ url, http }: RelayProcess, atEnd: (end: () => void) => void): Door {
  return {
    url,
    http,
    now,
    passes: undefined,
    async connect(): Promise<Line> {
      const client = await Client.connect(url, {}, atEnd);
      return {
        say: (...message) => client.say(...message),
        hear: () => client.hear(),
        challenged: async () => (await client.asked()).challenge,
        end: () => client.end(),
      };
    },
    async get(target, authorization): Promise<Answer> {
      const response = await fetch(http + target, { headers: headersOf(authorization) });
      return {
        status: response.status,
        text: await response.text(),
        cursor: response.headers.get("dead-drop-cursor") ?? undefined,
        isFinished: response.headers.get("dead-drop-finished") === "true",
      };
    },
    async stream(target, authorization): Promise<Stream> {
      const gone = new AbortController();
      const response = await fetch(http + target, {
        headers: { ...headersOf(authorization), accept: "text/event-stream" },
        signal: gone.signal,
      });
      let text = "";
      const reading = async (): Promise<void> => {
        const decoder = new TextDecoder();
        for await (const piece of response.body ?? []) {
          text += decoder.decode(piece as Uint8Array, { stream: true });
        }
      };
      const read = reading().catch(() => {});
      return {
        status: response.status,
        text: () => text,
        end() {
          gone.abort();
          void read;
        },
      };
    },
    async close() {},
  };
}

/** Waits, for a stream over a socket has no answer after which everything has come; gives up in the end, and then what is missing shows. */
export async function until(holds: () => boolean): Promise<void> {
  for (let moments = 0; moments < MOMENTS && !holds(); moments++) {
    await new Promise((resolve) => setTimeout(resolve, MOMENT_MS));
  }
}

function headersOf(authorization: string | undefined): Record<string, string> {
  return authorization === undefined ? {} : { authorization };
}
