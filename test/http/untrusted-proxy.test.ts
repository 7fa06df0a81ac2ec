// What the log says of a proxy that the relay was not told of. The range and the wording, address by address: test/server/untrusted-proxies.test.ts.

import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { type LogLine, type RelayProcess, startRelay } from "../support/relay.ts";
import { ask } from "./support.ts";

const FORWARDED = { "x-forwarded-for": "203.0.113.7" };

/** What the relay said by its end of who sends X-Forwarded-For. */
async function warnings(relay: RelayProcess): Promise<LogLine[]> {
  await relay.stop();
  return relay.log.filter(({ msg }) => msg.includes("X-Forwarded-For"));
}

describe("a relay behind a proxy that is not in trustedProxies", () => {
  it.each([
    ["over HTTP", (relay: RelayProcess) => ask(`${relay.http}/healthz`, { headers: FORWARDED })],
    ["with a WebSocket", (relay: RelayProcess) => Client.connect(relay.url, FORWARDED)],
  ])("says so once, names the setting and no address: %s", async (_, come) => {
    const relay = await startRelay({ env: { DEADDROP_LOG: "debug", DEADDROP_WORKERS: "1" } });
    for (let time = 0; time < 3; time++) await come(relay);
    expect(await warnings(relay)).toEqual([
      expect.objectContaining({
        level: 40,
        from: "127.0.0.0/8",
        msg: "a proxy in 127.0.0.0/8 sends X-Forwarded-For, and is not in trustedProxies: all who come through it count as one address",
      }),
    ]);
    expect(JSON.stringify(relay.log)).not.toContain("203.0.113.7");
  });

  it("says nothing when it is trusted, or when nobody is spoken for", async () => {
    const trusting = await startRelay({ env: { DEADDROP_TRUSTED_PROXIES: "127.0.0.1" } });
    await ask(`${trusting.http}/healthz`, { headers: FORWARDED });
    const direct = await startRelay();
    await ask(`${direct.http}/healthz`, { headers: { "x-forwarded-for": "" } });
    await ask(`${direct.http}/healthz`);
    expect([...(await warnings(trusting)), ...(await warnings(direct))]).toEqual([]);
  });
});
