import { execFileSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { programAt } from "./program.ts";
import { proxyContract } from "./proxy-contract.ts";

const FILE = new URL("../../deploy/Caddyfile", import.meta.url).pathname;

proxyContract({
  file: "Caddyfile",
  program: "caddy",
  everything: "reverse_proxy 127.0.0.1:7777 {",
  hasCertificate: false,
  changes: (port) => [["relay.example.com {", `http://127.0.0.1:${port} {\n\tbind 127.0.0.1`]],
  whole: (sample) => `{\n\tadmin off\n}\n${sample}`,
  arguments: (file) => ["run", "--config", file, "--adapter", "caddyfile"],
});

const program = programAt("caddy");

function run(...args: string[]): string {
  const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
  return execFileSync(program ?? "", args, { encoding: "utf8", stdio });
}

describe.skipIf(program === undefined)("deploy/Caddyfile", () => {
  it("asks for https at its name, and is written as Caddy writes it", () => {
    const adapted = run("adapt", "--config", FILE, "--adapter", "caddyfile");
    expect(adapted).toContain('"listen":[":443"]');
    expect(adapted).toContain('"host":["relay.example.com"]');
    expect(() => run("fmt", "--diff", FILE)).not.toThrow();
  });
});
