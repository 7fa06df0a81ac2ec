// Whom a connection is for, where whoever passes it on says so before anything else: the line of the PROXY protocol, version 1
// (haproxy.org/download/3.0/doc/proxy-protocol.txt, 2.1). Tor's daemon says it of the circuits of an onion service (spec.torproject.org/haproxy-proxy.html).

import { isIP, type Socket as NetSocket } from "node:net";

// "If the CRLF sequence is not found in the first 107 characters, the receiver should declare the line invalid."
const MAX_LINE_BYTES = 107;
const BEGINNING = Buffer.from("PROXY ");
const END = "\r\n";
// One space between fields, and numbers without zeros before them. What is UNKNOWN names nobody.
const LINE = /^PROXY TCP([46]) ([\da-f:.]+) ([\da-f:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/i;
const MAX_PORT = 65_535;

/**
 * Reads the line with which the connection begins, and leaves what follows it to the next who reads. Calls `read` once, with the source that the line names,
 * or with undefined when it is no such line, is not complete after so many seconds, or the peer hung up.
 */
export function readProxyLine(
  stream: NetSocket,
  seconds: number,
  read: (source: string | undefined) => void,
): void {
  let said: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => end(undefined), seconds * 1_000);
  stream.on("data", more);
  stream.on("close", gone);

  function more(chunk: Buffer): void {
    said = Buffer.concat([said, chunk]);
    const length = said.subarray(0, MAX_LINE_BYTES).indexOf(END);
    if (length < 0) {
      if (said.length >= MAX_LINE_BYTES || !begins(said)) end(undefined);
      return;
    }
    stream.pause();
    const rest = said.subarray(length + END.length);
    if (rest.length > 0) stream.unshift(rest);
    end(sourceIn(said.toString("latin1", 0, length)));
  }

  function gone(): void {
    end(undefined);
  }

  function end(source: string | undefined): void {
    clearTimeout(timer);
    stream.off("data", more);
    stream.off("close", gone);
    read(source);
  }
}

// Who speaks otherwise is not waited for.
function begins(said: Buffer): boolean {
  const length = Math.min(said.length, BEGINNING.length);
  return said.compare(BEGINNING, 0, length, 0, length) === 0;
}

function sourceIn(line: string): string | undefined {
  const said = LINE.exec(line);
  if (said === null) return undefined;
  const [, family, source = "", destination = "", ...ports] = said;
  const addresses = [source, destination];
  const isGood =
    addresses.every((address) => isIP(address) === Number(family)) &&
    ports.every((port) => Number(port) <= MAX_PORT);
  return isGood ? source : undefined;
}
