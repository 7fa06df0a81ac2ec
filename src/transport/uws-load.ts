// Finds and loads uWebSockets.js, which is no dependency: operators install its own release beside the relay.

import { createRequire } from "node:module";
import { join, resolve } from "node:path";

import type { Uws } from "./uws-types.ts";

const PACKAGE = "uWebSockets.js";

/** The package, from where DEADDROP_UWS says or else from where the relay is installed. Throws an error that says how to get it. */
export function loadUws(): Uws {
  const file = findUws();
  let loaded: unknown;
  try {
    loaded = createRequire(import.meta.url)(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split("\n").at(-1) : String(error);
    throw new Error(
      `${file} does not load in Node ${process.versions.node} on ${process.platform} ${process.arch}: ${reason}. ` +
        "Its binaries are made for some versions of Node, and on Linux for a recent glibc (2.38, as in Debian 13 and Ubuntu 24.04).",
      { cause: error },
    );
  }
  if (!isUws(loaded)) throw new Error(`${file} is not ${PACKAGE}`);
  return loaded;
}

function isUws(loaded: unknown): loaded is Uws {
  return (
    typeof loaded === "object" &&
    loaded !== null &&
    "App" in loaded &&
    "us_socket_local_port" in loaded
  );
}

function findUws(): string {
  const named = process.env["DEADDROP_UWS"];
  if (named === undefined || named === "")
    return tryResolve(import.meta.url, PACKAGE) ?? missing("here");
  const folder = resolve(named);
  const base = join(folder, "package.json");
  return (
    tryResolve(base, PACKAGE) ?? tryResolve(base, folder) ?? missing(`in ${folder} (DEADDROP_UWS)`)
  );
}

function tryResolve(base: string, specifier: string): string | undefined {
  try {
    return createRequire(base).resolve(specifier);
  } catch {
    return undefined;
  }
}

function missing(where: string): never {
  throw new Error(
    `${PACKAGE} is not installed ${where}. It is not on the npm registry; install a release of its own: ` +
      `npm install "${PACKAGE}@github:uNetworking/uWebSockets.js#<tag>", with a tag of https://github.com/uNetworking/uWebSockets.js/tags.`,
  );
}
