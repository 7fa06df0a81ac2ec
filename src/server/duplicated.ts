import koffi from "koffi";

// Of Linux, where alone sockets are handed over. Not inherited by what the relay runs, as Node sees to for the descriptors it came with.
const F_DUPFD_CLOEXEC = 1_030;
const LEAST_DESCRIPTOR = 3;

/** One more descriptor of an open file or socket. Throws when there are no more. */
export function duplicated(descriptor: number): number {
  const fcntl = koffi.load(null).func("int fcntl(int fd, int command, ...)");
  const copy = Number(fcntl(descriptor, F_DUPFD_CLOEXEC, "int", LEAST_DESCRIPTOR));
  if (copy < 0) throw new Error(`descriptor ${descriptor} cannot be duplicated`);
  return copy;
}
