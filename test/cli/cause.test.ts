// Why a relay is not there, in words.

import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Server } from "node:net";

import { describe, expect, it } from "vitest";

import { causeOf } from "../../src/cli/cause.ts";
import { atEnd } from "./process.ts";
import { keyholder, NOWHERE, PATIENTLY, silent } from "./support.ts";

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answers = (status: number): Promise<string> =>
  listening(createServer((_, response) => response.writeHead(status).end()));
const says = (text: string): Promise<string> =>
  listening(createNetServer((socket) => socket.on("error", () => {}).end(text)));

describe("why a relay cannot be read", () => {
  it("is said in words, whatever it is", async () => {
    const website = await answers(404);
    const causes = new Map([
      [`${NOWHERE}/`, "nothing listens there"],
      [`ws://${website}/`, "there is no relay at this path (404)"],
      [`wss://${website}/`, "it takes no wss:// there; is it ws://?"],
      [`ws://${await answers(502)}/`, "the relay behind its server is down (502)"],
      [`ws://${await answers(301)}/`, "it has moved (301); ask for its new URL"],
      [`ws://${await answers(200)}/`, "what answers is no relay (200)"],
      [`ws://${await says("220 mail.example ESMTP\r\n")}/`, "what answers is no relay"],
      [`ws://${await says("")}/`, "it breaks off the connection"],
      [`${(await silent()).url}/`, "it does not answer"],
    ]);
    const relays = [...causes.keys()].map((url) => ({ url }));
    const { code, out } = await keyholder({ relays }).runs(["status", ...PATIENTLY]);
    const told = out.trimEnd().split("\n");
    expect(told).toEqual([...causes].map(([url, cause]) => `${url} could not be read: ${cause}`));
    expect(code).toBe(1);
  });

  // As Node.js and ws say it, where a test cannot bring it about on every machine.
  it.each([
    ["getaddrinfo ENOTFOUND drop.example", "there is no such host"],
    ["getaddrinfo EAI_AGAIN drop.example", "its name cannot be looked up; is this machine online?"],
    ["connect ENETUNREACH 192.0.2.1:443", "there is no way to it; is this machine online?"],
    ["connect EHOSTUNREACH 192.0.2.1:443", "there is no way to it; is this machine online?"],
    ["connect ETIMEDOUT 192.0.2.1:443", "it does not answer"],
    ["Opening handshake has timed out", "it does not answer"],
    ["read ECONNRESET", "it breaks off the connection"],
    ["certificate has expired", "its certificate has expired"],
    ["certificate is not yet valid", "its certificate is not valid yet; is this clock right?"],
    [
      "Hostname/IP does not match certificate's altnames: Host: a.example. is not in the cert's altnames: DNS:b.example",
      "its certificate is for another host",
    ],
    ["self-signed certificate", "its certificate is by nobody whom this machine trusts"],
    [
      "unable to get local issuer certificate",
      "its certificate is by nobody whom this machine trusts",
    ],
    [
      "unable to verify the first certificate",
      "its certificate is by nobody whom this machine trusts",
    ],
    ["Unexpected server response: 403", "it lets nobody in there (403)"],
    ["Unexpected server response: 429", "it takes no more connections from here (429)"],
    ["Unexpected server response: 500", "its server is broken (500)"],
  ])("is said in words: %s", (reason, words) => {
    expect(causeOf(reason)).toBe(words);
  });

  it("is the relay's own word where that is known to nobody, on one line", () => {
    expect(causeOf("rate-limited: mailbox full")).toBe("rate-limited: mailbox full");
    expect(causeOf("error: \u001b[2J\nmine")).toBe("error: \ufffd[2J mine");
  });
});
