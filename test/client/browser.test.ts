// The library in a real browser. Where there is none the tests are skipped; in CI they fail.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { secretSigner } from "../../src/client/client.ts";
import { noBrowser, servePage, startBrowser } from "../support/chromium.ts";
import { now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { startRelay } from "../support/relay.ts";
import type { Verbs } from "./browser/page.ts";
import { held, startAgain } from "./support.ts";

const reason = noBrowser === undefined ? "" : ` (${noBrowser})`;

// In CI it is no reason: there it fails.
const maySkip = process.env["CI"] === undefined;

describe.skipIf(noBrowser !== undefined && maySkip)(
  `the library in chromium${reason}`,
  { timeout: 120_000 },
  () => {
    const atEnd: (() => void | Promise<void>)[] = [];
    let browser: Browser | undefined;
    let origin = "";

    beforeAll(async () => {
      const root = new URL("browser/", import.meta.url).pathname;
      ({ origin } = await servePage(root, (clean) => atEnd.push(clean)));
      browser = await startBrowser((clean) => atEnd.push(clean));
    }, 120_000);

    afterAll(async () => {
      for (const clean of atEnd.toReversed()) await clean();
    });

    /** A page in a profile of its own. */
    async function newPage(): Promise<Page> {
      const context = await browser?.newContext();
      onTestFinished(async () => context?.close());
      const page = await context?.newPage();
      if (page === undefined) throw new Error("the browser is not running");
      page.on("pageerror", (error) => expect.fail(String(error)));
      await page.goto(origin);
      await page.waitForFunction("globalThis.verbs !== undefined");
      return page;
    }

    it("sends from one page and picks up in another", async () => {
      const relays = [await startRelay(), await startRelay()];
      const urls = relays.map(({ url }) => url);
      const [alice, bob] = [person(), person()];
      const [one, other] = [await newPage(), await newPage()];
      const sent = await call(one, "send", hex(alice), bob.key, "Unter der dritten Bank 🌳", urls);
      expect(sent.states).toEqual(["held", "held"]);
      expect(await call(other, "pickup", hex(bob), urls, "bob")).toEqual({
        texts: ["Unter der dritten Bank 🌳"],
        told: ["done", "done"],
      });
      expect(await held(bob, relays)).toEqual([0, 0]);
      expect(await call(other, "pickup", hex(bob), urls, "bob")).toEqual({ texts: [], told: [] });
    });

    it("mines proof of work in a worker while the page goes on", async () => {
      const relay = await startRelay({ env: { DEADDROP_PROOF_OF_WORK: "16" } });
      const page = await newPage();
      const sent = await call(page, "send", hex(person()), person().key, "costly", [relay.url]);
      expect(sent.states).toEqual(["held"]);
      expect(sent.turns).toBeGreaterThan(0);
    });

    it("keeps acknowledgements for a relay that is down in IndexedDB, past the end of the page", async () => {
      const relays = [await startRelay(), await startRelay()];
      const [, down] = relays;
      const urls = relays.map(({ url }) => url);
      const [alice, bob] = [person(), person()];
      const page = await newPage();
      await call(page, "send", hex(alice), bob.key, "once", urls);
      await down?.kill();
      expect(await call(page, "pickup", hex(bob), urls, "kept")).toEqual({
        texts: ["once"],
        told: ["done", "later"],
      });
      await page.reload();
      await page.waitForFunction("globalThis.verbs !== undefined");
      if (down !== undefined) await startAgain(down);
      expect(await held(bob, relays)).toEqual([0, 1]);
      // What was acknowledged is not brought again, and the relay is told.
      expect(await call(page, "pickup", hex(bob), urls, "kept")).toEqual({ texts: [], told: [] });
      expect(await call(page, "flush", hex(bob), urls, "kept")).toBe(0);
      expect(await held(bob, relays)).toEqual([0, 0]);
    });

    it("is not held up by damaged records in IndexedDB, and tells of them", async () => {
      const relay = await startRelay();
      const [alice, bob] = [person(), person()];
      const page = await newPage();
      await call(page, "send", hex(alice), bob.key, "still here", [relay.url]);
      await call(page, "damage", "torn", { id: "1", type: "acknowledgement", until: 2 ** 40 });
      await call(page, "damage", "torn", { id: "2", type: "of a later version" });
      expect(await call(page, "pickup", hex(bob), [relay.url], "torn")).toEqual({
        texts: ["still here"],
        told: ["done"],
      });
      const { loaded, damaged } = await call(page, "records", "torn");
      expect(damaged).toEqual(["1"]);
      expect(loaded).toContainEqual(expect.stringMatching(/^[0-9a-f]{64}$/));
      expect(loaded).not.toContain("2");
    });

    it("may read the HTTP door of a relay of another origin", async () => {
      const relay = await startRelay();
      const bob = person();
      const page = await newPage();
      await call(page, "send", hex(person()), bob.key, "over HTTP", [relay.url]);
      const url = `${relay.http}/pickup/${bob.key}`;
      const event = await secretSigner(bob.secret).sign({
        kind: 27_235,
        created_at: now(),
        tags: [
          ["u", url],
          ["method", "GET"],
        ],
        content: "",
      });
      const authorization = `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
      const { status, finished, body } = await call(page, "fetched", url, authorization);
      expect([status, finished]).toEqual([200, "true"]);
      expect(body.split("\n").filter(Boolean)).toHaveLength(1);
    });
  },
);

/** Calls one of the page's verbs. */
function call<Verb extends keyof Verbs>(
  page: Page,
  verb: Verb,
  ...args: Parameters<Verbs[Verb]>
): Promise<Awaited<ReturnType<Verbs[Verb]>>> {
  return page.evaluate(
    async ([name, given]) => {
      const { verbs } = globalThis as unknown as {
        verbs: Record<string, (...args: unknown[]) => unknown>;
      };
      return (await verbs[name as string]?.(...(given as unknown[]))) as never;
    },
    [verb, args] as const,
  ) as Promise<Awaited<ReturnType<Verbs[Verb]>>>;
}

function hex({ secret }: Person): string {
  return Buffer.from(secret).toString("hex");
}
