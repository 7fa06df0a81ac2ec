// What must work through every proxy of deploy/.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";

import { loadConfig } from "../../src/config/load.ts";
import {
  ALL,
  askAs,
  boxOf,
  brought,
  EventStream,
  hold,
  metricsOf,
  pickup,
  untilOpen,
} from "../http/support.ts";
import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { closedPort } from "../support/port.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { programAt } from "./program.ts";
import { BELOW, type Sample, startSample, textOf } from "./proxy.ts";

const PER_ADDRESS = 8;
const PROVEN = "deaddrop_keys_authenticated_total";

/** Runs a sample of deploy/ in front of a relay, at the root of a host and below a path, and goes through it. */
export function proxyContract(sample: Sample): void {
  const program = programAt(sample.program);

  describe(`deploy/${sample.file}`, () => {
    it("waits longer than the relay is silent, or lets a pickup wait", () => {
      const { limits } = loadConfig({});
      const silent = Math.max(limits.waitSeconds, limits.pingSeconds);
      const waits = [
        ...textOf(sample).matchAll(
          /^\s*(?:proxy_(?:read|send)_timeout|timeout (?:client|server|tunnel)) (\d+)s/gm,
        ),
      ].map(([, seconds]) => Number(seconds));
      expect(waits.filter((wait) => wait <= silent)).toEqual([]);
    });
  });

  describe.skipIf(program === undefined)(
    `${sample.program}, as deploy/${sample.file} has it`,
    () => {
      const cleaning: (() => void | Promise<void>)[] = [];
      const atEnd = (clean: () => void | Promise<void>): void => void cleaning.push(clean);
      let relay: RelayProcess;
      let atRoot: RelayProcess;
      let below: RelayProcess;
      const places = [
        ["at the root of a host", () => atRoot, ["127.0.0.2", "127.0.0.3"]],
        ["below a path", () => below, ["127.0.0.4", "127.0.0.5"]],
      ] as const;

      beforeAll(async () => {
        const [rootPort, belowPort] = [await closedPort(), await closedPort()];
        const urls = [`ws://127.0.0.1:${rootPort}`, `ws://127.0.0.1:${belowPort}${BELOW}`] as const;
        const env = {
          DEADDROP_URL: urls[0],
          DEADDROP_ALIASES: urls[1],
          DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
          DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: String(PER_ADDRESS),
          DEADDROP_METRICS: "127.0.0.1:0",
        };
        relay = await startRelay({ env }, atEnd);
        const { host } = new URL(relay.url);
        const start = (port: number, isBelow: boolean): Promise<void> =>
          startSample(sample, program ?? "", { port, relay: host, isBelow }, atEnd);
        await Promise.all([start(rootPort, false), start(belowPort, true)]);
        const through = (url: string): RelayProcess => ({
          ...relay,
          url,
          http: url.replace("ws", "http"),
        });
        [atRoot, below] = [through(urls[0]), through(urls[1])];
      });
      afterAll(async () => {
        for (const clean of cleaning.toReversed()) await clean();
      });

      it.each(places)(
        "lets a pickup and a stream go whose client hangs up %s",
        async (_, through) => {
          await untilOpen(relay, 0);
          const isWaiting = await oneMoreProven(relay);
          const leaving = new AbortController();
          const bob = person();
          const waiting = pickup(through(), bob, "?wait=45", { signal: leaving.signal });
          await isWaiting();
          leaving.abort();
          await expect(waiting).rejects.toThrow("aborted");
          await untilOpen(relay, 0);
          const stream = await EventStream.open(through(), bob);
          expect(await stream.hear()).toEqual(ALL);
          stream.leave();
          await untilOpen(relay, 0);
        },
      );

      it.each(places)("takes a drop and hands it out over WebSockets %s", async (_, through) => {
        const bob = person();
        for (const slash of ["", "/"]) {
          const drop = giftWrap({ to: bob });
          const sender = await Client.connect(through().url + slash);
          expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
          const recipient = await Client.connect(through().url + slash);
          await recipient.authenticate(bob);
          expect(await recipient.pickup()).toContain(drop.id);
        }
      });

      it.each(places)("brings server-sent events as they come %s", async (_, through) => {
        const bob = person();
        const stream = await EventStream.open(through(), bob);
        expect(await stream.hear()).toEqual(ALL);
        for (let time = 0; time < 2; time++) {
          const drop = giftWrap({ to: bob });
          await hold(through(), [drop]);
          expect(await stream.hear()).toEqual(brought(drop));
        }
      });

      it.each(places)("answers a pickup that waits when a drop comes %s", async (_, through) => {
        const isWaiting = await oneMoreProven(relay);
        const bob = person();
        const waiting = pickup(through(), bob, "?wait=45");
        await isWaiting();
        const drop = giftWrap({ to: bob });
        await hold(relay, [drop]);
        expect((await waiting).events).toEqual([drop]);
      });

      it.each(places)("answers a pickup that waits in vain %s", async (_, through) => {
        expect((await pickup(through(), person(), "?wait=1")).events).toEqual([]);
      });

      it.each(places)("has a box belong to its owner alone %s", async (_, through) => {
        expect((await askAs(person(), boxOf(through(), person()))).status).toBe(403);
      });

      it.each(places)(
        "tells clients apart, whatever they say of themselves %s",
        async (_, through, addresses) => {
          const { url } = through();
          const [here, elsewhere] = addresses;
          for (let count = 0; count < PER_ADDRESS; count++) {
            expect(await comes(url, here, `203.0.113.${count}`)).toBe(101);
          }
          expect(await comes(url, here, "203.0.113.99")).toBe(429);
          expect(await comes(url, here, elsewhere)).toBe(429);
          expect(await comes(url, elsewhere, here)).toBe(101);
        },
      );

      it.runIf(sample.hasCertificate)("speaks TLS with the operator's certificate", async () => {
        const folder = temporaryFolder();
        const certificate = madeIn(folder);
        const port = await closedPort();
        const { host } = new URL(relay.url);
        const wanted = { port, relay: host, certificate };
        await startSample(sample, program ?? "", wanted, onTestFinished);
        const status = new Promise((resolve, reject) => {
          const ca = readFileSync(certificate);
          get(`https://127.0.0.1:${port}/healthz`, { ca, agent: false }, (answer) => {
            answer.resume();
            resolve(answer.statusCode);
          }).once("error", reject);
        });
        expect(await status).toBe(200);
      });
    },
  );
}

// Waits until one more key was proven than when it was called: until the next pickup has come through.
async function oneMoreProven(relay: RelayProcess): Promise<() => Promise<void>> {
  const proven = async (): Promise<number> => (await metricsOf(relay)).get(PROVEN) ?? 0;
  const before = await proven();
  return async () => {
    while ((await proven()) === before);
  };
}

// How the relay answers a WebSocket from this address that says to speak for another one.
function comes(url: string, localAddress: string, forged: string): Promise<number | undefined> {
  const headers = { "x-forwarded-for": forged };
  const socket = new WebSocket(url, { localAddress, headers });
  onTestFinished(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(101));
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode));
    socket.once("error", reject);
  });
}

// A certificate for 127.0.0.1 that signs itself, and its key, in one file.
function madeIn(folder: string): string {
  const [key, certificate] = [join(folder, "key"), join(folder, "certificate")];
  const options =
    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
  execFileSync("openssl", [...options.split(" "), "-keyout", key, "-out", certificate], {
    stdio: "ignore",
  });
  const both = join(folder, "both.pem");
  execFileSync("sh", ["-c", 'cat "$1" "$2" > "$3"', "sh", certificate, key, both]);
  return both;
}
