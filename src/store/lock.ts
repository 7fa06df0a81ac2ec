// Keeps a second process from opening the same folder: two writers would each believe their own count of a box and announce only their own drops.
//
// Who holds the store listens on a Unix socket, because that ends when the process ends, however it ends; and the store's `meta` table says on which one.
// A newcomer listens first, then asks whether the one named there still answers, and if not puts its own in that place, inside a transaction and only
// if nobody else did so since it asked. So there is no moment in which two believe they hold it.

import { randomBytes } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { FILE_MODE } from "./privacy.ts";
import type { Opened } from "./tables.ts";

// The kernel's limit on the path of a Unix socket, less one for the final zero.
const MAX_SOCKET_PATH_BYTES = 103;

/** Locks the store in `folder`, or throws when another process has it. Answers how to release it. */
export async function lockStore(
  folder: string,
  { root, databases: { meta } }: Opened,
): Promise<() => Promise<void>> {
  const pathOf = (socket: string): string => resolve(folder, socket);
  const mine = socketName(folder);
  const server = await listen(pathOf(mine));
  for (;;) {
    const owner = meta.get("owner");
    if (owner !== undefined && (await answers(pathOf(owner)))) {
      await close(server);
      throw new Error(`${folder} is in use by another relay`);
    }
    const isMine = root.transactionSync(() => {
      if (meta.get("owner") !== owner) return false;
      meta.putSync("owner", mine);
      return true;
    });
    if (!isMine) continue;
    if (owner !== undefined) rmSync(pathOf(owner), { force: true });
    return () => close(server);
  }
}

// In the folder itself and named without it, so that containers that share it share the lock, wherever it is mounted; where its path is too long for a
// socket, where every process of the machine looks.
function socketName(folder: string): string {
  const name = `lock-${randomBytes(6).toString("hex")}.sock`;
  const fits = Buffer.byteLength(resolve(folder, name)) <= MAX_SOCKET_PATH_BYTES;
  return fits ? name : join(tmpdir(), `deaddrop-${name}`);
}

function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((done, failed) => {
    server.once("error", failed);
    server.listen(path, () => {
      // A socket's mode is the process's; who may reach the folder may not reach this.
      chmodSync(path, FILE_MODE);
      server.unref();
      done(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    // Anything but "nobody is there" may be a busy owner.
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      done(code !== "ECONNREFUSED" && code !== "ENOENT");
    });
  });
}
