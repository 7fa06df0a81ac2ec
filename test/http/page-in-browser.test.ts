// The page at `/` in a real browser. Where there is none the tests are skipped; in CI they fail.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { noBrowser, startBrowser } from "../support/chromium.ts";
import { type RelayProcess, sharedRelay } from "../support/relay.ts";

const reason = noBrowser === undefined ? "" : ` (${noBrowser})`;
// In CI it is no reason: there it fails.
const maySkip = process.env["CI"] === undefined;

const LOOKS = [375, 1440].flatMap((width) =>
  (["light", "dark"] as const).map((colorScheme) => ({ width, colorScheme })),
);

// Of each element with a text of its own: that text, its colour and what is behind it, as CSS computes them.
const COLOURS = `[...document.querySelectorAll("body *")]
  .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ""))
  .map((element) => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    return [element.textContent.trim().slice(0, 40), getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
  })`;

describe.skipIf(noBrowser !== undefined && maySkip)(
  `the page at / in chromium${reason}`,
  { timeout: 60_000 },
  () => {
    const plain = sharedRelay({ env: { DEADDROP_URL: "wss://drop.example.com" } });
    const full = sharedRelay({
      env: {
        DEADDROP_NAME: `<script>document.title="taken"</script>${"W".repeat(80)}`,
        DEADDROP_DESCRIPTION:
          '"><img src="x" onerror="document.title=`taken`">\n</style></pre><!--',
        DEADDROP_CONTACT: `https://a.example/"onclick="x${"c".repeat(100)}`,
        DEADDROP_PUBKEY: "ab".repeat(32),
        DEADDROP_URL: `wss://${"long.".repeat(20)}example.com/inbox/<b>`,
        DEADDROP_ALIASES: `ws://${"d".repeat(56)}.onion`,
        // The state is shown in another colour then.
        DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB",
      },
    });
    const atEnd: (() => void | Promise<void>)[] = [];
    let browser: Browser | undefined;

    beforeAll(async () => {
      browser = await startBrowser((clean) => atEnd.push(clean));
    }, 60_000);
    afterAll(async () => {
      for (const clean of atEnd.toReversed()) await clean();
    });

    async function opened(
      { http }: RelayProcess,
      { width, colorScheme, hasScripts = false }: (typeof LOOKS)[number] & { hasScripts?: boolean },
    ): Promise<{ page: Page; complaints: string[] }> {
      const context = await browser?.newContext({
        viewport: { width, height: 800 },
        colorScheme,
        javaScriptEnabled: hasScripts,
      });
      onTestFinished(async () => context?.close());
      const page = await context?.newPage();
      if (page === undefined) throw new Error("the browser is not running");
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("requestfailed", (request) => complaints.push(request.url()));
      await page.goto(http);
      return { page, complaints };
    }

    describe.each(LOOKS)("$width pixels wide, $colorScheme", (look) => {
      it.each([
        ["as it usually is", plain],
        ["with much that is long and hostile", full],
      ])("fits, can be read, and has nothing to complain of: %s", async (_, relay) => {
        const { page, complaints } = await opened(relay(), look);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(look.width);
        const colours = await page.evaluate<[string, string, string][]>(COLOURS);
        expect(colours.length).toBeGreaterThan(40);
        const faint = colours.filter(([, ink, paper]) => contrast(ink, paper) < 4.5);
        expect(faint).toEqual([]);
        expect(luminance(colours[0]?.[2] ?? "") > 0.5).toBe(look.colorScheme === "light");
        expect(complaints).toEqual([]);
      });
    });

    it("has the same elements whatever an operator wrote, and runs nothing of it", async () => {
      const { page, complaints } = await opened(full(), {
        width: 375,
        colorScheme: "light",
        hasScripts: true,
      });
      expect(await page.locator("script, img, [onclick], [onerror], b").count()).toBe(0);
      expect(await page.locator("footer").count()).toBe(1);
      expect(await page.title()).toContain("<script>");
      expect(complaints).toEqual([]);
    });

    it("shows the code as a square, and selects the address with one click", async () => {
      const { page } = await opened(plain(), { width: 375, colorScheme: "dark" });
      const box = await page.locator("svg").boundingBox();
      expect(box?.width).toBe(box?.height);
      expect(box?.width).toBeGreaterThan(150);
      await page.locator(".url code").click();
      expect(await page.evaluate("String(getSelection())")).toBe("wss://drop.example.com");
    });
  },
);

/** The contrast of two colours (WCAG 2.2, "contrast ratio"), written as CSS computes them. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/\d+/g) ?? []).map((part) => {
    const value = Number(part) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
