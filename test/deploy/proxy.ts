// The samples of deploy/, as they run: a proxy of its own for each, on the loopback, with nothing of the sample changed but where it listens, where the relay
// is, and its certificate.

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

import { type AtEnd, temporaryFolder } from "../support/relay.ts";

/** The certificate of a proxy that speaks TLS, and its key, in one file; undefined for one that does not. */
export type Certificate = string | undefined;

export type Sample = {
  /** In deploy/. */
  readonly file: string;
  readonly program: string;
  /** The line that the sample's comment says to put another for, to serve the relay below a path. */
  readonly everything: string;
  /** Whether it can be told a certificate; one that gets its own cannot be tried without the internet. */
  readonly hasCertificate: boolean;
  /** What is put for what, each of which must be there. */
  readonly changes: (
    port: number,
    certificate: Certificate,
  ) => readonly (readonly [what: string | RegExp, by: string])[];
  /** The file that the program reads, and which the sample is a part of. */
  readonly whole: (sample: string, folder: string) => string;
  readonly arguments: (file: string, folder: string) => readonly string[];
};

export const BELOW = "/relay";
const RELAY = "127.0.0.1:7777";

/** The text of a sample. */
export function textOf({ file }: Sample): string {
  return readFileSync(new URL(`../../deploy/${file}`, import.meta.url), "utf8");
}

export type Wanted = {
  readonly port: number;
  /** Host and port. */
  readonly relay: string;
  readonly isBelow?: boolean;
  readonly certificate?: Certificate;
};

/** The sample with the relay and the proxy where they are in a test. */
function filledIn(sample: Sample, { port, relay, isBelow = false, certificate }: Wanted): string {
  const text = textOf(sample);
  const [, line = ""] = /# Below a path of a site: `(.+?)`/.exec(text) ?? [];
  const uncommented = text.replaceAll(/^\s*#.*\n/gm, "");
  const changes = [
    ...(isBelow ? [[sample.everything, line] as const] : []),
    ...sample.changes(port, certificate),
    [RELAY, relay] as const,
  ];
  return changes.reduce((text, [what, by]) => {
    if (text.split(what).length !== 2) throw new Error(`not once in ${sample.file}: ${what}`);
    return text.replace(what, by);
  }, uncommented);
}

/** Runs a sample's program, and resolves when it takes connections. */
export async function startSample(
  sample: Sample,
  program: string,
  wanted: Wanted,
  atEnd: AtEnd,
): Promise<void> {
  const folder = temporaryFolder(atEnd);
  const file = join(folder, sample.file);
  writeFileSync(file, sample.whole(filledIn(sample, wanted), folder));
  const child = spawn(program, sample.arguments(file, folder), {
    env: { PATH: process.env["PATH"], HOME: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.on("data", (text: Buffer) => (said += text.toString()));
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      hasEnded = true;
      resolve();
    });
  });
  atEnd(() => {
    child.kill("SIGKILL");
    return ended;
  });
  while (!(await accepts(wanted.port))) {
    if (hasEnded) throw new Error(`${sample.program} ended: ${said}`);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
