// docs/CLIENT.md, done as it says by somebody with npm and by somebody with pnpm: the library is packed, installed, compiled, run and shown in a page.
// What a machine has not is skipped there; in CI it fails. `.ci/tools` installs it.

import { execFile } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { noBrowser, servePage, startBrowser } from "../support/chromium.ts";
import { type AtEnd, sharedRelay, temporaryFolder } from "../support/relay.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const GUIDE = readFileSync(join(ROOT, "docs/CLIENT.md"), "utf8");
const [PROGRAM = "", FOR_NODE_20 = ""] = blocks("ts");
const [INSTALL = "", INSTALL_WS = ""] = blocks("sh").map(
  (block) => /^npm install (.*)$/m.exec(block)?.[1],
);
const PACKED = "deaddrop-client-0.1.0.tgz";

const maySkip = process.env["CI"] === undefined;

const PNPM = join(ROOT, ".cache/tools/node_modules/.bin/pnpm");
const INSTALLERS = [
  { name: "npm", command: ["npm", "install", "--no-audit", "--no-fund"], found: true },
  { name: "pnpm", command: [PNPM, "add"], found: existsSync(PNPM) },
];
const NODES = [
  { name: "Node 20", node: join(ROOT, ".cache/uws/node_modules/node/bin/node") },
  { name: "Node 22", node: join(ROOT, ".cache/tools/node_modules/node/bin/node") },
  { name: "Node 24", node: join(ROOT, "node_modules/node/bin/node") },
].map(({ name, node }) => ({ name, node, found: existsSync(node) }));

// How a project may be set up, as far as it decides which of our types are found and whether they hold.
const MODULES = [
  ["--module", "nodenext"],
  ["--module", "node16"],
  ["--module", "esnext", "--moduleResolution", "bundler"],
];
const TYPES = [
  { name: "a browser's", file: "page.mts", args: ["--lib", "es2022,dom"] },
  { name: "Node's", file: "node.mts", args: ["--lib", "es2022", "--types", "node"] },
];

const MAX_COMPRESSED_BYTES = 1_000 * Number(/(\d+) KB at most/.exec(GUIDE)?.[1]);

// What the relay is made of.
const OF_THE_RELAY = ["koffi", "lmdb", "pino", "tiny-secp256k1", "uWebSockets.js"];

const run = promisify(execFile);

describe("docs/CLIENT.md", { timeout: 120_000 }, () => {
  const atEnd: (() => void | Promise<void>)[] = [];
  const later: AtEnd = (clean) => atEnd.push(clean);
  // A miner starts from the packed files too.
  const relay = sharedRelay({ env: { DEADDROP_PROOF_OF_WORK: "8" } });
  let folder = "";

  beforeAll(async () => {
    folder = temporaryFolder(later);
    await run(join(ROOT, ".ci/pack"), ["client", folder], { cwd: ROOT });
  }, 120_000);

  afterAll(async () => {
    for (const clean of atEnd.toReversed()) await clean();
  });

  it.skipIf(maySkip)("has what it is tried with", () => {
    const tools = [...INSTALLERS, ...NODES].filter(({ found }) => !found);
    expect(tools.map(({ name }) => name)).toEqual([]);
    expect(noBrowser).toBe(undefined);
  });

  for (const { name, command, found } of INSTALLERS) {
    describe.skipIf(!found)(`with ${name}${but({ found })}`, () => {
      let project = "";
      const install = async (what: string): Promise<void> => {
        const [file = "", ...args] = command;
        const packages = what.replace(/\S*\.tgz/, join(folder, PACKED)).split(" ");
        await run(file, [...args, ...packages], { cwd: project });
      };

      beforeAll(async () => {
        project = join(folder, name);
        mkdirSync(project);
        writeFileSync(join(project, "package.json"), '{ "private": true }');
        await install(INSTALL);
      }, 120_000);

      it("installs nothing of the relay, and nothing twice", () => {
        const names = installedIn(project).map((each) => each.replace(/ .*/, ""));
        expect(names).toContain("deaddrop-client");
        expect(names.filter((each) => OF_THE_RELAY.includes(each))).toEqual([]);
        expect(names.filter((each, index) => names.indexOf(each) !== index)).toEqual([]);
      });

      it("is told of nothing that is not there", () => {
        const guide = readFileSync(join(project, "node_modules/deaddrop-client/README.md"), "utf8");
        expect(guide).toContain("# The client library");
        expect([...guide.matchAll(/\]\(\.[^)]*\)/g)].map(([link]) => link)).toEqual([]);
      });

      const unshown = noBrowser === undefined ? "" : ` (${noBrowser})`;
      it.skipIf(noBrowser !== undefined)(
        `is small in a page, and works there${unshown}`,
        async () => {
          writeFileSync(
            join(project, "index.html"),
            '<script type="module" src="page.js"></script>',
          );
          writeFileSync(join(project, "page.js"), `${at(PROGRAM)}\nconsole.log("end");`);
          const { origin, scripts } = await servePage(project, later);
          const sizes = scripts.map((script) => gzipSync(script).length);
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(
            MAX_COMPRESSED_BYTES,
          );

          const page = await (await startBrowser(later)).newPage();
          const shown: string[] = [];
          const ended = new Promise<void>((resolve, reject) => {
            page.on("pageerror", reject);
            page.on("console", (message) => {
              if (message.text() === "end") resolve();
              else if (message.type() === "log") shown.push(message.text());
            });
          });
          await page.goto(origin);
          await ended;
          expect(shown.join("\n")).toMatch(asShown());
        },
      );

      for (const each of NODES.slice(1)) {
        it.skipIf(!each.found)(`works under ${each.name}${but(each)}`, async () => {
          const file = join(project, "example.mjs");
          writeFileSync(file, at(PROGRAM));
          expect((await run(each.node, [file], { cwd: project })).stdout).toMatch(asShown());
        });
      }

      describe("and what it says of Node 20", () => {
        const program = PROGRAM.replace(/^const settings = .*$/m, FOR_NODE_20);

        beforeAll(() => install(INSTALL_WS), 120_000);

        const [oldest = { node: "", found: false }] = NODES;
        it.skipIf(!oldest.found)(`works there${but(oldest)}`, async () => {
          const file = join(project, "example-20.mjs");
          writeFileSync(file, at(program));
          expect((await run(oldest.node, [file], { cwd: project })).stdout).toMatch(asShown());
        });

        for (const module of MODULES) {
          it.each(TYPES)(`compiles with ${module.join(" ")} and $name types`, async (types) => {
            writeFileSync(join(project, types.file), types.name === "Node's" ? program : PROGRAM);
            const strict = [
              "--noEmit",
              "--strict",
              "--skipLibCheck",
              "false",
              "--target",
              "es2022",
            ];
            const roots = ["node_modules/@types", join(ROOT, "node_modules/@types")].join(",");
            const { stdout } = await run(
              join(ROOT, "node_modules/.bin/tsc"),
              [...strict, ...module, ...types.args, "--typeRoots", roots, types.file],
              { cwd: project },
            ).catch((error: { stdout: string }) => error);
            expect(stdout).toBe("");
          });
        }
      });
    });
  }

  function at(program: string): string {
    expect(program).toContain("ws://127.0.0.1:7777");
    return program.replace("ws://127.0.0.1:7777", relay().url);
  }

  /** What the program prints. */
  function asShown(): RegExp {
    const { url } = relay();
    return new RegExp(`^${url}/ held .*\\d{4}.*\nUnder the third bench.\n${url}/ done\n?$`);
  }
});

function but({ found }: { readonly found: boolean }): string {
  return found ? "" : " (not there: .ci/tools installs it)";
}

/** The blocks of the guide in this language. */
function blocks(language: string): string[] {
  return [...GUIDE.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map(
    ([, block = ""]) => block,
  );
}

/** Name and version of every package in a project's node_modules, however deep, each once. */
function installedIn(project: string): string[] {
  const pattern = "node_modules/{.pnpm/*/node_modules/,**/node_modules/,}{@*/,}*/package.json";
  const found = globSync(pattern, { cwd: project }).flatMap((file) => {
    const { name, version } = JSON.parse(readFileSync(join(project, file), "utf8")) as {
      name?: string;
      version?: string;
    };
    return name === undefined || version === undefined ? [] : [`${name} ${version}`];
  });
  return [...new Set(found)].toSorted();
}
