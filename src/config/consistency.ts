import type { Config } from "./schema.ts";
import { join } from "./values.ts";

/** What settings must hold together and do not, a sentence each. */
export function inconsistencies({
  limits: limit,
  sweepSeconds,
  listen,
  transport,
}: Config): string[] {
  // Any free port may be asked for more than once.
  const fixed = listen.filter(({ port }) => port !== 0).map((address) => join(address));
  const rules: [boolean, string][] = [
    [
      limit.eventBytes < limit.messageBytes,
      "limits.eventBytes must be less than limits.messageBytes",
    ],
    [
      limit.messageBytes < limit.outboxBytes,
      "limits.messageBytes must be less than limits.outboxBytes",
    ],
    [
      limit.outboxBytes <= limit.memoryPerAddress,
      "limits.outboxBytes must not be more than limits.memoryPerAddress",
    ],
    [
      limit.memoryPerAddress <= limit.memory,
      "limits.memoryPerAddress must not be more than limits.memory",
    ],
    [
      limit.messageBytes <= limit.bytesBurst,
      "limits.messageBytes must not be more than limits.bytesBurst",
    ],
    [limit.eventBytes <= limit.boxBytes, "limits.eventBytes must not be more than limits.boxBytes"],
    [
      limit.pingSeconds < limit.deadSeconds,
      "limits.pingSeconds must be less than limits.deadSeconds",
    ],
    [limit.waitSeconds <= 3_600, "limits.waitSeconds must be at most 1h"],
    [
      // A timer of more than 24 days ends at once.
      limit.handshakeSeconds >= 1 && limit.handshakeSeconds <= 3_600,
      "limits.handshakeSeconds must be between 1s and 1h",
    ],
    [limit.pingSeconds >= 1, "limits.pingSeconds must be at least 1s"],
    [new Set(fixed).size === fixed.length, "listen must not name an address and port twice"],
    [
      transport === "ws" || listen.every(({ from }) => from !== "tor"),
      "listen can name an address for tor with transport ws only: uWebSockets.js cannot read the line in which Tor names the circuit",
    ],
    [sweepSeconds >= 1 && sweepSeconds <= 86_400, "sweepSeconds must be between 1s and 1d"],
  ];
  return rules.filter(([holds]) => !holds).map(([, rule]) => rule);
}
