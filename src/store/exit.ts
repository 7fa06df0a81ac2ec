import koffi from "koffi";

/**
 * Lets the process end at once while a store is open, however it is ended: `process.exit`, an exception that nobody catches. Node's own way waits for libuv's
 * threads, and LMDB's among them waits, in a transaction, for a callback in the thread that is ending. What was flushed is on disk either way. Answers what
 * takes it back, when the store is closed.
 */
export function exitAtOnce(): () => void {
  process.once("exit", leave);
  return () => void process.off("exit", leave);
}

function leave(code: number): void {
  try {
    koffi.load(null).func("void _exit(int status)")(code);
  } catch {
    // Where there is no such function the status is lost.
  }
  process.kill(process.pid, "SIGKILL");
}
