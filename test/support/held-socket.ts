import { once } from "node:events";
import { closeSync } from "node:fs";
import { type AddressInfo, createServer, type ListenOptions } from "node:net";

import { onTestFinished } from "vitest";

import { duplicated } from "../../src/server/duplicated.ts";

/** A socket that listens and from which nobody takes what connects, unless it is handed to a relay. It is closed after the test. */
export async function heldSocket(
  options: ListenOptions = { host: "127.0.0.1" },
): Promise<{ readonly descriptor: number; readonly port: number }> {
  const server = createServer().listen({ port: 0, ...options });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  // Node has no other way to a listening socket that it does not listen on itself.
  const descriptor = duplicated((server as unknown as { _handle: { fd: number } })._handle.fd);
  server.close();
  await once(server, "close");
  onTestFinished(() => closeSync(descriptor));
  return { descriptor, port };
}
