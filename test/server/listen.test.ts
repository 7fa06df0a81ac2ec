// Several addresses, each with its own trust. What a line of Tor's may look like: test/transport/contract.ts.

import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { HALF_HANDSHAKE, RawSocket, REST_OF_HANDSHAKE } from "../support/raw.ts";
import { failToStart, sharedRelay, startRelay, temporaryFolder } from "../support/relay.ts";

// Which cannot read whom a connection of Tor's is for.
const isUws = process.env["DEADDROP_TRANSPORT"] === "uws";
const ONE_EACH = { DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "1", DEADDROP_WORKERS: "1" };

const from = (address: string): Record<string, string> => ({ "x-forwarded-for": address });

/** The line with which Tor begins a connection over the circuit of this number. */
function circuit(number: number): string {
  return `PROXY TCP6 fc00:dead:beef:4dad::0:${number.toString(16)} ::1 ${number} 80\r\n`;
}

/** Asks for a WebSocket over a circuit, with further lines in the head, and answers the status. */
async function statusOver(url: string, number: number, lines = ""): Promise<string> {
  const socket = await RawSocket.connect(url);
  socket.write(`${circuit(number)}${HALF_HANDSHAKE}${lines}${REST_OF_HANDSHAKE}`);
  await socket.hears("\r\n\r\n");
  return socket.heard.slice(0, "HTTP/1.1 101".length);
}

// As in event-loops.test.ts.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const canSharePorts = process.platform === "linux" && (major > 23 || (major === 22 && minor >= 12));

describe.each(canSharePorts ? ["1", "2"] : ["1"])(
  "a relay at several addresses with %s event loops",
  (workers) => {
    const relay = sharedRelay({
      env: { DEADDROP_LISTEN: "127.0.0.1:0, 127.0.0.1:0 proxy", DEADDROP_WORKERS: workers },
    });

    it("is one relay at each of them, and says where", async () => {
      const bob = person();
      const [first, second, ...more] = relay().addresses.map((address) => `ws://${address}`);
      expect(more).toEqual([]);
      const drop = giftWrap({ to: bob });
      await (await Client.connect(first ?? "")).publish(drop);
      const receiver = await (await Client.connect(second ?? "")).authenticate(bob);
      expect(await receiver.pickup()).toEqual([drop.id]);
      const line = relay().log.find(({ msg }) => msg === "listening");
      expect(line).toMatchObject({ listen: [first?.slice(5), `${second?.slice(5)} proxy`] });
    });
  },
);

describe("an address for a proxy", () => {
  const relay = sharedRelay({
    env: { ...ONE_EACH, DEADDROP_LISTEN: "127.0.0.1:0, 127.0.0.1:0 proxy" },
  });
  const at = (index: number): string => `ws://${relay().addresses[index]}`;

  it("believes whoever connects there whom it speaks for, and no other address does", async () => {
    await Client.connect(at(1), from("203.0.113.1"));
    await Client.connect(at(1), from("203.0.113.2"));
    await expect(Client.connect(at(1), from("203.0.113.2"))).rejects.toThrow("HTTP 429");
    await Client.connect(at(0), from("203.0.113.3"));
    await expect(Client.connect(at(0), from("203.0.113.4"))).rejects.toThrow("HTTP 429");
  });

  it("has nobody warned of, while the others have", async () => {
    const watched = await startRelay({
      env: {
        DEADDROP_LISTEN: "127.0.0.1:0 proxy, 127.0.0.1:0, 127.0.0.1:0",
        DEADDROP_WORKERS: "1",
      },
    });
    for (const address of watched.addresses) {
      await Client.connect(`ws://${address}`, from("203.0.113.1"));
    }
    await watched.stop();
    const warnings = watched.log.filter(({ msg }) => msg.includes("X-Forwarded-For"));
    // As they were configured: with any free port.
    expect(warnings).toEqual([
      expect.objectContaining({ level: 40, listen: "127.0.0.1:0" }),
      expect.objectContaining({ level: 40, listen: "127.0.0.1:0" }),
    ]);
  });
});

describe.skipIf(isUws)("an address for tor", () => {
  const relay = sharedRelay({
    env: {
      ...ONE_EACH,
      DEADDROP_LISTEN: "127.0.0.1:0 tor, 127.0.0.1:0",
      DEADDROP_ALIASES: "ws://abcdefgh.onion",
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
      DEADDROP_LOG: "debug",
    },
  });

  it("counts each circuit like an address, and believes no X-Forwarded-For", async () => {
    expect(await statusOver(relay().url, 1)).toBe("HTTP/1.1 101");
    expect(await statusOver(relay().url, 2)).toBe("HTTP/1.1 101");
    const other = "X-Forwarded-For: 203.0.113.1\r\n";
    expect(await statusOver(relay().url, 2, other)).toBe("HTTP/1.1 429");
    expect(await statusOver(relay().url, 3, other)).toBe("HTTP/1.1 101");
    expect(await statusOver(relay().url, 4, other)).toBe("HTTP/1.1 101");
    expect(relay().log.filter(({ msg }) => msg.includes("X-Forwarded-For"))).toEqual([]);
  });

  it("closes connections without a circuit, and says once what to set", async () => {
    for (const line of ["", "PROXY TCP6 2001:db8::1 ::1 1 80\r\n"]) {
      const socket = await RawSocket.connect(relay().url);
      socket.write(`${line}${HALF_HANDSHAKE}${REST_OF_HANDSHAKE}`);
      await socket.closed;
      expect(socket.heard).toBe("");
    }
    // What is logged is read in its order.
    expect(await relay().stop()).toBe(0);
    const told = relay().log.filter(({ msg }) => msg.includes("HiddenServiceExportCircuitID"));
    expect(told).toEqual([expect.objectContaining({ level: 40, listen: "127.0.0.1:0" })]);
    expect(JSON.stringify(relay().log)).not.toMatch(/4dad|db8/);
  });
});

describe("a relay at an address that is in use", () => {
  it("does not start, wherever else it could listen", async () => {
    const other = await startRelay({ env: { DEADDROP_WORKERS: "1" } });
    const { code, said } = await failToStart(temporaryFolder(), {
      env: { DEADDROP_LISTEN: `127.0.0.1:0, ${other.addresses[0]}` },
    });
    expect(code).toBe(1);
    expect(said).toMatch(/could not start: .*in use/);
  });
});

describe("the line with which a relay says that it listens", () => {
  it("has its public URL and its aliases, or where it listens", async () => {
    const env = { DEADDROP_URL: "wss://drop.example", DEADDROP_ALIASES: "ws://abcdefgh.onion" };
    const named = (await startRelay({ env })).log.find(({ msg }) => msg === "listening");
    expect(named).toMatchObject({ url: "wss://drop.example", aliases: ["ws://abcdefgh.onion"] });
    const unnamed = await startRelay();
    const line = unnamed.log.find(({ msg }) => msg === "listening");
    expect(line).toMatchObject({ url: unnamed.url, aliases: [] });
  });
});
