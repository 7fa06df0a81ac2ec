// The parts that can be taken alone have a package.json of their own, which must not drift from the project's.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { describe, expect, it } from "vitest";

type Manifest = {
  readonly version: string;
  readonly license: string;
  readonly engines: object;
  readonly dependencies: Readonly<Record<string, string>>;
};

function manifestIn(folder: string): Manifest {
  const file = new URL(`../${folder}package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Manifest;
}

describe.each(["client", "conformance"])("the package of %s", (part) => {
  const whole = manifestIn("");
  const own = manifestIn(`src/${part}/`);

  it("has the version, licence and engines of the whole", () => {
    const { version, license, engines } = whole;
    expect(own).toMatchObject({ version, license, engines });
  });

  it("depends on what the whole depends on, in the same versions", () => {
    expect(Object.keys(own.dependencies).length).toBeGreaterThan(0);
    expect(whole.dependencies).toMatchObject(own.dependencies);
  });
});

describe("what is shared with nostr-tools", () => {
  const { resolve } = createRequire(import.meta.url);
  const entry = resolve("nostr-tools/pure");
  const theirs = JSON.parse(
    readFileSync(`${entry.slice(0, entry.lastIndexOf("/lib/"))}/package.json`, "utf8"),
  ) as Manifest;

  // Its pins are exact: any other version of ours would be a second copy, 13 KB of a page.
  it.each(["", "src/client/", "src/conformance/"])(
    "is of the same version in %spackage.json",
    (of) => {
      const ours = Object.entries(manifestIn(of).dependencies).filter(
        ([name]) => name in theirs.dependencies,
      );
      expect(ours.length).toBeGreaterThan(0);
      expect(theirs.dependencies).toMatchObject(Object.fromEntries(ours));
    },
  );
});
