import { createConnection, createServer } from "node:net";
import { unlinkSync } from "node:fs";
import { join } from "node:path";

// The kernel's limit on the path of a Unix socket, less one for the final zero.
const MAX_SOCKET_PATH_BYTES = 103;

/**
 * Keeps a second process from opening the same folder: two writers would each believe their own count of a box and announce only their own drops.
 * The lock is a listening socket, because that is released when the process ends, however it ends. Answers how to release it; throws when
 * another process holds it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, "lock.sock");
  // A path too long for a socket has no lock; refusing to start for it would be worse.
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return async () => {};
  if (await answers(path)) {
    throw new Error(`${folder} is in use by another relay`);
  }
  try {
    unlinkSync(path);
  } catch {
    // There was none.
  }
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => void server.close(() => resolve()));
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
