// Why a relay is not there, in words that people understand. What is not in this table is passed on as it is.

import { harmlessLine } from "./show.ts";

const AT_THE_SERVER: readonly [RegExp, string][] = [
  [/ECONNREFUSED/, "nothing listens there"],
  [/ENOTFOUND/, "there is no such host"],
  [/EAI_AGAIN/, "its name cannot be looked up; is this machine online?"],
  [/E(NET|HOST)(UNREACH|DOWN)/, "there is no way to it; is this machine online?"],
  [/ETIMEDOUT|handshake has timed out|^no (connection|answer)$/, "it does not answer"],
  [/^no answer to AUTH$/, "it does not answer when it is shown the key"],
  [/ECONNRESET|EPIPE|socket hang up|^the connection broke$/, "it breaks off the connection"],
  [/^the connection is dead$/, "it has gone silent"],
];

const CERTIFICATES: readonly [RegExp, string][] = [
  [/certificate has expired/, "its certificate has expired"],
  [/certificate is not yet valid/, "its certificate is not valid yet; is this clock right?"],
  [/certificate's altnames/, "its certificate is for another host"],
  [
    /self.signed certificate|unable to (verify|get)[\w ]* certificate/,
    "its certificate is by nobody whom this machine trusts",
  ],
  [/wrong version number|packet length too long|EPROTO/, "it takes no wss:// there; is it ws://?"],
];

const ANSWERS: readonly [RegExp, string][] = [
  [/^Unexpected server response: (404|410)$/, "there is no relay at this path ($1)"],
  [/^Unexpected server response: (401|403)$/, "it lets nobody in there ($1)"],
  [/^Unexpected server response: (429)$/, "it takes no more connections from here ($1)"],
  [/^Unexpected server response: (3\d\d)$/, "it has moved ($1); ask for its new URL"],
  [/^Unexpected server response: (50[234])$/, "the relay behind its server is down ($1)"],
  [/^Unexpected server response: (5\d\d)$/, "its server is broken ($1)"],
  [/^Unexpected server response: (\d+)$/, "what answers is no relay ($1)"],
  [/Parse Error|Invalid (Upgrade|Sec-WebSocket)/, "what answers is no relay"],
];

const CAUSES = [...AT_THE_SERVER, ...CERTIFICATES, ...ANSWERS];

/** A relay's or the network's reason for people: one line that no stranger can make look like another. */
export function causeOf(reason: string): string {
  for (const [pattern, words] of CAUSES) {
    const found = pattern.exec(reason);
    if (found !== null) return words.replace("$1", found[1] ?? "");
  }
  return harmlessLine(reason);
}
