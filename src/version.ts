import { readFileSync } from "node:fs";

type Package = { readonly version: string };

/** The version in package.json, which lies one folder up from the sources and from what is built. */
export const VERSION = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as Package
).version;
