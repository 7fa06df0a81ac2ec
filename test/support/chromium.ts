// Pages in a real browser: Debian's chromium, driven by playwright-core, and what vite makes of a page for it.

import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

import { type Browser, chromium } from "playwright-core";
import { build, type Rolldown } from "vite";

import { type AtEnd, temporaryFolder } from "./relay.ts";

const CHROMIUM = process.env["DEADDROP_TEST_CHROMIUM"] ?? "/usr/bin/chromium";
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };

/** Why no browser can be started; undefined when one can. */
export const noBrowser = existsSync(CHROMIUM) ? undefined : `no ${CHROMIUM}: install chromium`;

export function startBrowser(atEnd: AtEnd): Promise<Browser> {
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
  ];
  return chromium.launch({ executablePath: CHROMIUM, args }).then((browser) => {
    atEnd(() => browser.close());
    return browser;
  });
}

export type BuiltPage = {
  /** Where it is served. */
  readonly origin: string;
  /** The scripts that it loads, as they are sent. What only a worker runs, or is loaded when it is first needed, is not among them. */
  readonly scripts: readonly string[];
};

/** Builds the page whose index.html is in this folder for production, as vite does when it is told nothing else, and serves it. */
export async function servePage(root: string, atEnd: AtEnd): Promise<BuiltPage> {
  const outDir = temporaryFolder(atEnd);
  const built = (await build({
    root,
    base: "./",
    logLevel: "error",
    configFile: false,
    build: { outDir, emptyOutDir: true },
  })) as Rolldown.RolldownOutput;
  const server = createServer((request, response) => {
    const path = join(outDir, request.url === "/" ? "index.html" : (request.url ?? ""));
    if (!path.startsWith(outDir) || !existsSync(path)) return response.writeHead(404).end();
    const type = TYPES[extname(path)] ?? "text/plain";
    return response.writeHead(200, { "content-type": type }).end(readFileSync(path));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(() => void server.close());
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    scripts: built.output.flatMap((part) =>
      part.type === "chunk" && !part.isDynamicEntry ? [part.code] : [],
    ),
  };
}
