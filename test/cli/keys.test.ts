import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";

import { encodeBytes, npubEncode, nsecEncode } from "nostr-tools/nip19";
import { decrypt, encrypt } from "nostr-tools/nip49";
import { getPublicKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import { CliError, exitCodeOf, FAILED, INTERRUPTED, WRONG_USE } from "../../src/cli/failure.ts";
import { loadSecret, writeKeyFile } from "../../src/cli/key-file.ts";
import * as keys from "../../src/cli/keys.ts";
import { parseSecret } from "../../src/cli/secret-key.ts";
import { ask, progressLine, readAll, type Terminal } from "../../src/cli/terminal.ts";
import { person } from "../support/people.ts";
import { temporaryFolder } from "../support/relay.ts";
import { commandLine, onTerminal, ptyMissing } from "./process.ts";
import { scene } from "./scene.ts";

// As main.ts runs them.
const newKey = told(keys.newKey);
const showKey = told(keys.showKey);
const importKey = told(keys.importKey);

type Options = Parameters<typeof keys.newKey>[0] & keys.KeysOptions;

function told(
  verb: (options: Options, terminal: Terminal) => Promise<number>,
): (options: Options, terminal: Terminal) => Promise<number> {
  return (options, terminal) => exitCodeOf(() => verb(options, terminal), terminal.stderr);
}

const DEFAULTS = { key: undefined, json: false, secret: false, noPassphrase: false };
// scrypt that takes no time.
const QUICK_LOGN = 4;
const LEAST_SHOWN = 12;
const HIDDEN = { secret: true };

/** A key file, whatever it holds. */
function keyFile(line: string, mode = 0o600): string {
  const file = join(temporaryFolder(), "key");
  writeFileSync(file, `${line}\n`, { mode });
  return file;
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function publicOf(secret: Uint8Array): { readonly hex: string; readonly npub: string } {
  const hex = getPublicKey(secret);
  return { hex, npub: npubEncode(hex) };
}

/** The parts of secrets that a text shows: what two of them have in common by chance is shorter. */
function leaked(text: string, secrets: readonly string[]): string[] {
  const shown = text.toLowerCase();
  return secrets.flatMap((secret) => {
    const parts: string[] = [];
    for (let at = 0; at + LEAST_SHOWN <= secret.length; at++) {
      const part = secret.slice(at, at + LEAST_SHOWN);
      if (shown.includes(part)) parts.push(part);
    }
    return parts;
  });
}

/** The same with its last digit changed. */
function damaged(line: string): string {
  return line.slice(0, -1) + (line.endsWith("q") ? "p" : "q");
}

/** An encrypted key that asks for so much of scrypt; nobody has its passphrase. */
function demanding(logn: number, version = 2): string {
  return encodeBytes("ncryptsec", Uint8Array.from([version, logn, ...new Uint8Array(89)]));
}

describe("keys new", () => {
  it("keeps a key that only its owner can read, and says whose it is and where", async () => {
    const { terminal, home, file, out, err } = scene();
    expect(await newKey(DEFAULTS, terminal)).toBe(0);
    const { secret, isEncrypted } = await loadSecret(terminal, DEFAULTS);
    const { hex, npub } = publicOf(secret);
    expect(isEncrypted).toBe(false);
    expect(readFileSync(file, "utf8")).toBe(`${nsecEncode(secret)}\n`);
    expect(out()).toBe(`npub: ${npub}\nhex: ${hex}\nfile: ${file}\nencrypted: no\n`);
    expect(err()).toBe("");
    expect(modeOf(file)).toBe(0o600);
    expect(modeOf(home)).toBe(0o700);
    expect(readdirSync(home)).toEqual(["key"]);
  });

  it("makes another key each time", async () => {
    const [one, other] = [scene(), scene()];
    await newKey(DEFAULTS, one.terminal);
    await newKey(DEFAULTS, other.terminal);
    expect(readFileSync(one.file, "utf8")).not.toBe(readFileSync(other.file, "utf8"));
  });

  it("encrypts it with the passphrase that is typed twice", async () => {
    const { terminal, file, out } = scene({ typed: "open\ropen\r" });
    expect(await newKey({ ...DEFAULTS, json: true }, terminal)).toBe(0);
    const secret = decrypt(readFileSync(file, "utf8").trim(), "open");
    const { hex, npub } = publicOf(secret);
    expect(JSON.parse(out())).toEqual({ npub, hex, file, encrypted: true });
  });

  it("asks again when the two differ", async () => {
    const { terminal, file, err } = scene({ typed: "open\ropne\ropen\ropen\r" });
    expect(await newKey(DEFAULTS, terminal)).toBe(0);
    expect(err()).toContain("the two differ, try again");
    expect(decrypt(readFileSync(file, "utf8").trim(), "open")).toHaveLength(32);
  });

  it("gives up when they differ three times, and writes nothing", async () => {
    const { terminal, home, err } = scene({ typed: "a\rb\r".repeat(3) });
    expect(await newKey(DEFAULTS, terminal)).toBe(FAILED);
    expect(err()).toContain("nothing was written");
    expect(existsSync(home)).toBe(false);
  });

  it("does not encrypt it when the passphrase is empty", async () => {
    const { terminal, file } = scene({ typed: "\r" });
    expect(await newKey(DEFAULTS, terminal)).toBe(0);
    expect(readFileSync(file, "utf8")).toMatch(/^nsec1/);
  });

  it("takes the passphrase from the environment, and asks nothing then", async () => {
    const { terminal, file, err } = scene({ typed: "", env: { DEADDROP_PASSPHRASE: "open" } });
    expect(await newKey(DEFAULTS, terminal)).toBe(0);
    expect(decrypt(readFileSync(file, "utf8").trim(), "open")).toHaveLength(32);
    expect(err()).toBe("");
  });

  it.each([
    ["on a terminal", { typed: "open\ropen\r" }],
    ["whatever the environment says", { env: { DEADDROP_PASSPHRASE: "open" } }],
  ])("asks for no passphrase with --no-passphrase, and sets none, %s", async (_, given) => {
    const { terminal, file, err } = scene(given);
    expect(await newKey({ ...DEFAULTS, noPassphrase: true }, terminal)).toBe(0);
    expect(readFileSync(file, "utf8")).toMatch(/^nsec1/);
    expect(err()).toBe("");
  });

  it("writes to the file that is named", async () => {
    const { terminal, home } = scene();
    const key = join(temporaryFolder(), "deep", "down", "mine");
    expect(await newKey({ ...DEFAULTS, key }, terminal)).toBe(0);
    expect(readFileSync(key, "utf8")).toMatch(/^nsec1/);
    expect(modeOf(join(key, ".."))).toBe(0o700);
    expect(existsSync(home)).toBe(false);
  });

  it("takes an empty --key for a mistake", async () => {
    const { terminal, home, err } = scene();
    expect(await newKey({ ...DEFAULTS, key: "" }, terminal)).toBe(WRONG_USE);
    expect(err()).toContain("--key names no file");
    expect(existsSync(home)).toBe(false);
  });

  it("never writes over a file, says so before it asks, and says what to do", async () => {
    const key = keyFile("anything");
    const { terminal, out, err } = scene({ typed: "open\ropen\r" });
    expect(await newKey({ ...DEFAULTS, key }, terminal)).toBe(FAILED);
    expect(err()).toBe(
      `deaddrop: ${key} exists, and a key is never written over\n  move it away, or name another file with --key\n`,
    );
    expect(out()).toBe("");
    expect(readFileSync(key, "utf8")).toBe("anything\n");
  });

  it("says that $DEADDROP_KEY is preferred to what it wrote", async () => {
    const { terminal, err } = scene({ env: { DEADDROP_KEY: nsecEncode(person().secret) } });
    expect(await newKey(DEFAULTS, terminal)).toBe(0);
    expect(err()).toContain("unset DEADDROP_KEY");
  });

  it("leaves no part of a file when the disk takes no more", () => {
    const home = join(temporaryFolder(), "home");
    const { command, env } = commandLine(["keys", "new"]);
    const { status, stdout, stderr } = spawnSync(
      "sh",
      ["-c", 'ulimit -f 0; exec "$@"', "sh", ...command],
      { env: { ...env, DEADDROP_HOME: home }, encoding: "utf8" },
    );
    expect({ status, stdout }).toEqual({ status: FAILED, stdout: "" });
    expect(stderr).toMatch(/no key was written to .*EFBIG/);
    expect(readdirSync(home)).toEqual([]);
  });

  it("says where it could not write when a folder is a file", async () => {
    const { terminal, err } = scene();
    const key = join(keyFile("no folder"), "key");
    expect(await newKey({ ...DEFAULTS, key }, terminal)).toBe(FAILED);
    expect(err()).toContain(`no key was written to ${key}`);
  });
});

describe("writeKeyFile", () => {
  it("writes over nothing, even what came to be after all questions", async () => {
    const file = keyFile("anything");
    const writing = writeKeyFile(file, person().secret, undefined);
    await expect(writing).rejects.toThrow(`${file} exists, and a key is never written over`);
    expect(readFileSync(file, "utf8")).toBe("anything\n");
  });
});

describe("keys show", () => {
  it("shows whose key it is, and asks no passphrase when it needs none", async () => {
    const { secret, key } = person();
    const file = keyFile(nsecEncode(secret));
    const { terminal, out, err } = scene({ typed: "" });
    expect(await showKey({ ...DEFAULTS, key: file, json: true }, terminal)).toBe(0);
    const npub = npubEncode(key);
    expect(JSON.parse(out())).toEqual({ npub, hex: key, file, encrypted: false });
    expect(err()).toBe("");
  });

  it("shows the secret alone when asked to", async () => {
    const { secret } = person();
    const nsec = nsecEncode(secret);
    const file = keyFile(encrypt(secret, "open", QUICK_LOGN));
    const env = { DEADDROP_PASSPHRASE: "open" };
    const [text, json] = [scene({ env }), scene({ env })];
    expect(await showKey({ ...DEFAULTS, key: file, secret: true }, text.terminal)).toBe(0);
    expect(await showKey({ ...DEFAULTS, key: file, json: true, secret: true }, json.terminal)).toBe(
      0,
    );
    expect(text.out()).toBe(`${nsec}\n`);
    expect(json.out()).toBe(`${JSON.stringify({ nsec })}\n`);
    expect(text.err() + json.err()).toBe("");
  });

  it("says when the key comes from the environment", async () => {
    const { secret } = person();
    const { terminal, out } = scene({ env: { DEADDROP_KEY: hexOf(secret) } });
    expect(await showKey(DEFAULTS, terminal)).toBe(0);
    expect(out()).toContain("file: none, it comes from $DEADDROP_KEY\n");
  });

  it("says how to make a key when there is none", async () => {
    const { terminal, file, err } = scene();
    expect(await showKey(DEFAULTS, terminal)).toBe(FAILED);
    expect(err()).toBe(
      `deaddrop: there is no key at ${file}\n  make one with "deaddrop keys new", or name a file with --key\n`,
    );
  });
});

describe("keys import", () => {
  const { secret, key: publicKey } = person();
  const encrypted = encrypt(secret, "open", QUICK_LOGN);

  it.each([
    ["an nsec", nsecEncode(secret)],
    ["an nsec in capitals", nsecEncode(secret).toUpperCase()],
    ["hex digits", hexOf(secret)],
    ["hex digits in capitals", hexOf(secret).toUpperCase()],
    ["white space around", `\r\n ${nsecEncode(secret)} \n\n`],
  ])("keeps a key from standard input: %s", async (_, piped) => {
    const { terminal, file, out } = scene({ piped });
    expect(await importKey(DEFAULTS, terminal)).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(`${nsecEncode(secret)}\n`);
    expect(modeOf(file)).toBe(0o600);
    expect(out()).toContain(`npub: ${npubEncode(publicKey)}\n`);
  });

  it("asks for the key and a passphrase on a terminal, without an echo", async () => {
    const { terminal, file, raw } = scene({ typed: `${nsecEncode(secret)}\ropen\ropen\r` });
    expect(await importKey(DEFAULTS, terminal)).toBe(0);
    expect(decrypt(readFileSync(file, "utf8").trim(), "open")).toEqual(secret);
    expect(raw).toEqual([true, false, true, false, true, false]);
  });

  it("keeps an encrypted key as it is, once the passphrase is right", async () => {
    const typed = scene({ typed: `${encrypted}\rno\ropen\r` });
    expect(await importKey(DEFAULTS, typed.terminal)).toBe(0);
    expect(typed.err()).toContain("wrong passphrase, try again");
    expect(readFileSync(typed.file, "utf8")).toBe(`${encrypted}\n`);

    const piped = scene({ piped: encrypted, env: { DEADDROP_PASSPHRASE: "open" } });
    expect(await importKey({ ...DEFAULTS, json: true }, piped.terminal)).toBe(0);
    expect(readFileSync(piped.file, "utf8")).toBe(`${encrypted}\n`);
    expect(JSON.parse(piped.out())).toMatchObject({ hex: publicKey, encrypted: true });
  });

  it("asks for no passphrase with --no-passphrase, and sets none", async () => {
    const { terminal, file, raw } = scene({ typed: `${nsecEncode(secret)}\ropen\ropen\r` });
    expect(await importKey({ ...DEFAULTS, noPassphrase: true }, terminal)).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(`${nsecEncode(secret)}\n`);
    expect(raw).toEqual([true, false]);
  });

  it("takes no passphrase off an encrypted key, and asks for none with --no-passphrase", async () => {
    for (const given of [{ piped: encrypted }, { typed: `${encrypted}\ropen\r` }]) {
      const { terminal, home, err } = scene({ ...given, env: { DEADDROP_PASSPHRASE: "open" } });
      expect(await importKey({ ...DEFAULTS, noPassphrase: true }, terminal)).toBe(WRONG_USE);
      expect(err()).toContain("the key is encrypted and stays so\n  leave out --no-passphrase");
      expect(existsSync(home)).toBe(false);
    }
  });

  it("keeps nothing when the passphrase is wrong", async () => {
    const { terminal, home, err } = scene({
      piped: encrypted,
      env: { DEADDROP_PASSPHRASE: "opne" },
    });
    expect(await importKey(DEFAULTS, terminal)).toBe(FAILED);
    expect(err()).toContain("standard input: wrong passphrase in DEADDROP_PASSPHRASE");
    expect(existsSync(home)).toBe(false);
  });

  it.each([
    ["nothing", "", "there is no secret key; give nsec1…"],
    ["a public key", npubEncode(publicKey), "that is a public key; give nsec1…"],
    ["a damaged nsec", damaged(nsecEncode(secret)), "the nsec is damaged"],
    [
      "a mixture of cases",
      `nsec1${nsecEncode(secret).slice(5).toUpperCase()}`,
      "the nsec is damaged",
    ],
    ["half an nsec", encodeBytes("nsec", secret.slice(16)), "not a key"],
    ["a damaged ncryptsec", damaged(encrypted), "the ncryptsec is damaged"],
    ["half an ncryptsec", encrypted.slice(0, 80), "the ncryptsec is damaged"],
    ["a short ncryptsec", encodeBytes("ncryptsec", bytesOf("0204")), "of a kind unknown here"],
    ["another version of ncryptsec", demanding(QUICK_LOGN, 3), "of a kind unknown here"],
    ["63 digits", hexOf(secret).slice(1), "there is no secret key"],
    ["two keys", `${hexOf(secret)}\n${hexOf(secret)}`, "there is no secret key"],
    ["more than any key", "0".repeat(1025), "standard input is too long; at most 1024 bytes"],
    ["no text", Buffer.from([0xff, 0xfe]), "standard input is no text"],
  ])("refuses %s", async (_, piped, said) => {
    const { terminal, home, out, err } = scene({ piped });
    expect(await importKey(DEFAULTS, terminal)).toBe(FAILED);
    expect(err()).toContain(said);
    expect(out()).toBe("");
    expect(existsSync(home)).toBe(false);
  });

  // The order of secp256k1.
  const ORDER = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
  it.each([["0".repeat(64)], [ORDER], ["f".repeat(64)]])(
    "refuses what is outside the range of the curve: %s",
    async (hex) => {
      const forms = [hex, nsecEncode(bytesOf(hex)), encrypt(bytesOf(hex), "open", QUICK_LOGN)];
      for (const piped of forms) {
        const { terminal, home, err } = scene({ piped, env: { DEADDROP_PASSPHRASE: "open" } });
        expect(await importKey(DEFAULTS, terminal)).toBe(FAILED);
        expect(err()).toContain("not 32 bytes within the range of secp256k1");
        expect(existsSync(home)).toBe(false);
      }
    },
  );

  it("takes the first and the last key of the range", async () => {
    const last = `${ORDER.slice(0, -1)}0`;
    for (const piped of [`${"0".repeat(63)}1`, last]) {
      const { terminal } = scene({ piped });
      expect(await importKey(DEFAULTS, terminal)).toBe(0);
      expect(hexOf((await loadSecret(terminal, DEFAULTS)).secret)).toBe(piped);
    }
  });
});

describe("loadSecret", () => {
  it("takes the first of --key, $DEADDROP_KEY, $DEADDROP_KEY_FILE, the home folder", async () => {
    const people = Array.from({ length: 4 }, person);
    const [named, inEnv, byEnv, atHome] = people.map(({ secret }) => secret) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const env = {
      DEADDROP_KEY: nsecEncode(inEnv),
      DEADDROP_KEY_FILE: keyFile(nsecEncode(byEnv)),
      DEADDROP_HOME: join(keyFile(nsecEncode(atHome)), ".."),
    };
    const load = async (settings: object, unset: object): Promise<Uint8Array> => {
      const { terminal } = scene({ env: { ...env, ...unset } });
      return (await loadSecret(terminal, { ...DEFAULTS, ...settings })).secret;
    };
    const noKey = { DEADDROP_KEY: "" };
    expect(await load({ key: keyFile(nsecEncode(named)) }, {})).toEqual(named);
    expect(await load({}, {})).toEqual(inEnv);
    expect(await load({}, noKey)).toEqual(byEnv);
    expect(await load({}, { ...noKey, DEADDROP_KEY_FILE: "" })).toEqual(atHome);
  });

  it.each([
    ["$XDG_CONFIG_HOME", (at: string) => ({ XDG_CONFIG_HOME: join(at, ".config") })],
    ["~/.config", (at: string) => ({ HOME: at })],
    ["~/.config for a relative $XDG", (at: string) => ({ HOME: at, XDG_CONFIG_HOME: "etc" })],
  ])("finds the home folder in %s", async (_, env) => {
    const { secret } = person();
    const at = temporaryFolder();
    const file = join(at, ".config", "deaddrop", "key");
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, nsecEncode(secret), { mode: 0o600 });
    const { terminal } = scene();
    const loaded = await loadSecret({ ...terminal, env: env(at) }, DEFAULTS);
    expect(loaded).toEqual({ secret, file, isEncrypted: false });
  });

  it("opens the example of NIP-49", async () => {
    const { terminal } = scene({
      env: {
        DEADDROP_KEY:
          "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p",
        DEADDROP_PASSPHRASE: "nostr",
      },
    });
    const { secret, isEncrypted } = await loadSecret(terminal, DEFAULTS);
    expect(hexOf(secret)).toBe("3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683");
    expect(isEncrypted).toBe(true);
  });

  it("refuses a key that takes too much memory before it asks for a passphrase", async () => {
    for (const logn of [21, 30, 63, 255]) {
      const { terminal, err } = scene({ typed: "open\r", env: { DEADDROP_KEY: demanding(logn) } });
      expect(await showKey(DEFAULTS, terminal)).toBe(FAILED);
      expect(err()).toBe(
        `deaddrop: $DEADDROP_KEY: opening this key would take too much memory (logn ${logn}, at most 20)\n  encrypt it again with less\n`,
      );
    }
    expect(parseSecret(demanding(20), "here")).toBe(demanding(20));
  });

  it("gives up after three wrong passphrases", async () => {
    const key = keyFile(encrypt(person().secret, "open", QUICK_LOGN));
    const { terminal, err } = scene({ typed: "a\rb\rc\ropen\r" });
    expect(await showKey({ ...DEFAULTS, key }, terminal)).toBe(FAILED);
    expect(err().match(/Passphrase for/g)).toHaveLength(3);
    expect(err()).toContain(`deaddrop: ${key}: wrong passphrase;`);
  });

  it("says how to give a passphrase where nobody can be asked", async () => {
    const key = keyFile(encrypt(person().secret, "open", QUICK_LOGN));
    const { terminal, err } = scene({ piped: "open\n" });
    expect(await showKey({ ...DEFAULTS, key }, terminal)).toBe(WRONG_USE);
    expect(err()).toContain("set DEADDROP_PASSPHRASE, or run this on a terminal");
  });

  it.each([0o640, 0o604, 0o620, 0o601])("refuses a file that others can use: %o", async (mode) => {
    const key = keyFile(nsecEncode(person().secret));
    chmodSync(key, mode);
    const { terminal, out, err } = scene();
    expect(await showKey({ ...DEFAULTS, key }, terminal)).toBe(FAILED);
    expect(err()).toBe(`deaddrop: ${key} can be read by others; run: chmod 600 ${key}\n`);
    expect(out()).toBe("");
    chmodSync(key, 0o400);
    expect(await showKey({ ...DEFAULTS, key }, terminal)).toBe(0);
  });

  it.each([
    ["hex digits, which may be a public key", hexOf(person().secret), "no key file"],
    ["two keys", `${nsecEncode(person().secret)}\n`.repeat(2), "the nsec is damaged"],
    ["something long", "nsec1".repeat(1_000), "is too long; at most 1024 bytes"],
  ])("refuses a file with %s", async (_, text, said) => {
    const key = keyFile(text);
    const { terminal, err } = scene();
    expect(await showKey({ ...DEFAULTS, key }, terminal)).toBe(FAILED);
    expect(err()).toContain(said);
  });

  it("refuses a folder", async () => {
    const key = temporaryFolder();
    chmodSync(key, 0o700);
    const { terminal, err } = scene();
    expect(await showKey({ ...DEFAULTS, key }, terminal)).toBe(FAILED);
    expect(err()).toContain("cannot read a key (EISDIR");
  });
});

describe("exitCodeOf", () => {
  it("passes on what is a bug", async () => {
    const bug = new TypeError("undefined is not a function");
    const { terminal, err } = scene();
    await expect(exitCodeOf(() => Promise.reject(bug), terminal.stderr)).rejects.toBe(bug);
    expect(err()).toBe("");
  });
});

describe("what is secret", () => {
  const { secret } = person();
  const nsec = nsecEncode(secret);
  const hex = hexOf(secret);
  const passphrase = "a long way to the sea";
  const wrong = "a long way to the lake";
  const encrypted = encrypt(secret, passphrase, QUICK_LOGN);
  const secrets = [nsec, hex, passphrase, wrong, encrypted];

  it.each([
    ["an nsec", nsec],
    ["a damaged nsec", damaged(nsec)],
    ["half an nsec", nsec.slice(0, 40)],
    ["an nsec with a gap", `${nsec.slice(0, 30)} ${nsec.slice(30)}`],
    ["an nsec in a sentence", `key=${nsec}`],
    ["an nsec in capitals", nsec.toUpperCase()],
    ["hex digits", hex],
    ["63 hex digits", hex.slice(1)],
    ["an encrypted key", encrypted],
    ["a damaged encrypted key", damaged(encrypted)],
  ])("is in nothing that is written or thrown: %s", async (_, text) => {
    const file = keyFile(text);
    for (const phrase of [passphrase, wrong]) {
      const env = { DEADDROP_PASSPHRASE: phrase };
      const scenes = [
        scene({ env }),
        scene({ env: { ...env, DEADDROP_KEY: text } }),
        scene({ env, piped: text }),
        scene({ typed: `${text}\r${phrase}\r${phrase}\r${phrase}\r` }),
        scene({ typed: `${phrase}\r`.repeat(3) }),
      ] as const;
      const [asFile, asVariable, piped, typed, asked] = scenes;
      await showKey({ ...DEFAULTS, key: file }, asFile.terminal);
      await showKey(DEFAULTS, asVariable.terminal);
      await importKey(DEFAULTS, piped.terminal);
      await importKey(DEFAULTS, typed.terminal);
      await showKey({ ...DEFAULTS, key: file }, asked.terminal);
      for (const { out, err } of scenes) {
        expect(out() + err()).not.toBe("");
        expect(leaked(out() + err(), secrets)).toEqual([]);
      }
      const { terminal } = scene({ env: { ...env, DEADDROP_KEY: text } });
      const thrown = await loadSecret(terminal, DEFAULTS).catch((error: Error) => error);
      if (!(thrown instanceof Error)) continue;
      expect(thrown).toBeInstanceOf(CliError);
      expect(thrown.cause).toBeUndefined();
      expect(leaked(`${thrown.stack}`, secrets)).toEqual([]);
    }
  });

  it("would be noticed", () => {
    expect(leaked(`a ${nsec.slice(10, 30)} b`, secrets)).not.toEqual([]);
    expect(leaked(hex.toUpperCase(), secrets)).not.toEqual([]);
  });
});

async function answers(typed: string, times = 1): Promise<string[]> {
  const { terminal } = scene({ typed });
  const heard: string[] = [];
  while (heard.length < times) heard.push(await ask(terminal, "Well? ", HIDDEN));
  return heard;
}

describe("ask", () => {
  it("takes a line, however it ends", async () => {
    expect(await answers("one\rtwo\nthree\r\nfour\n", 4)).toEqual(["one", "two", "three", "four"]);
  });

  it("takes a line that comes byte by byte", async () => {
    const { terminal } = scene({ typed: "" });
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const answer = ask({ ...terminal, stdin }, "Well? ", HIDDEN);
    for (const byte of Buffer.from("süß\u{1f600}\r")) stdin.write(Buffer.from([byte]));
    expect(await answer).toBe("süß\u{1f600}");
  });

  it.each([
    ["a backspace takes back a character", "ab\u007f\u0008c\r", "c"],
    ["also one of several bytes", "aü\u{1f600}\u007f\u007fb\r", "ab"],
    ["and nothing where there is nothing", "\u007fa\r", "a"],
    ["Ctrl-U takes back all", "ab\u0015c\r", "c"],
    ["other control characters are left out", "a\u0000\u001bb\r", "ab"],
    ["Ctrl-D within a line is nothing", "a\u0004b\r", "ab"],
  ])("%s", async (_, typed, answer) => {
    expect(await answers(typed)).toEqual([answer]);
  });

  it.each([
    ["Ctrl-C", "ab\u0003c\r", INTERRUPTED, "interrupted"],
    ["Ctrl-D", "\u0004ab\r", FAILED, "the input ended"],
    ["the end of the input", "ab", FAILED, "the input ended"],
    ["an answer without end", "a".repeat(5_000), FAILED, "at most 4096 bytes"],
  ])("ends at %s, and leaves the terminal as it was", async (_, typed, exitCode, message) => {
    const { terminal, raw } = scene({ typed });
    const answer = ask(terminal, "Well? ", HIDDEN);
    await expect(answer).rejects.toMatchObject({ exitCode });
    await expect(answer).rejects.toThrow(message);
    expect(raw).toEqual([true, false]);
  });

  it("ends at once when the input has ended before", async () => {
    const { terminal } = scene({ typed: "one\r" });
    expect(await ask(terminal, "Well? ", HIDDEN)).toBe("one");
    await expect(ask(terminal, "And? ", HIDDEN)).rejects.toThrow("the input ended");
    await expect(ask(terminal, "And? ", HIDDEN)).rejects.toThrow("the input ended");
  });

  it("keeps standard output clean", async () => {
    const { terminal, out, err } = scene({ typed: "one\r" });
    await ask(terminal, "Well? ", HIDDEN);
    expect({ out: out(), err: err() }).toEqual({ out: "", err: "Well? \n" });
  });

  it("leaves the echo on for what is no secret", async () => {
    const { terminal, raw, err } = scene({ typed: "one\n" });
    expect(await ask(terminal, "Well? ", { secret: false })).toBe("one");
    expect({ raw, err: err() }).toEqual({ raw: [], err: "Well? " });
  });

  it.each(["stdin", "stderr"] as const)("asks nobody when %s is no terminal", async (name) => {
    const { terminal } = scene({ typed: "one\r" });
    const other = scene({ piped: "one\r" }).terminal;
    const asked = ask({ ...terminal, [name]: other[name] }, "Well? ", HIDDEN);
    await expect(asked).rejects.toMatchObject({ exitCode: WRONG_USE });
  });
});

function read(piped: string): Promise<string> {
  return readAll(scene({ piped }).terminal.stdin, { name: "the message", maxBytes: 4 });
}

describe("readAll", () => {
  it("reads all up to the limit, and no more", async () => {
    expect(await read("")).toBe("");
    expect(await read("ü\u00e4")).toBe("üä");
    await expect(read("12345")).rejects.toThrow("the message is too long; at most 4 bytes");
  });
});

describe("progressLine", () => {
  it.each([
    ["on a terminal", { typed: "" }, "\r\u001b[Kone\r\u001b[Ktwo three\r\u001b[K"],
    ["within its width", { typed: "", columns: 8 }, "\r\u001b[Kone\r\u001b[Ktwo thr\r\u001b[K"],
    [
      "whole where no width is known",
      { typed: "", columns: 0 },
      "\r\u001b[Kone\r\u001b[Ktwo three\r\u001b[K",
    ],
    ["not where nothing can be taken back", { typed: "", env: { TERM: "dumb" } }, ""],
    ["and nowhere else", { piped: "" }, ""],
  ])("writes over itself %s", (_, given, written) => {
    const { terminal, err } = scene(given);
    const line = progressLine(terminal);
    line.progress("one");
    line.progress("two three");
    line.done();
    expect(err()).toBe(written);
  });
});

// What CI did not run it may not call good.
function needPty(skip: (reason: string) => void): void {
  const reason = ptyMissing();
  if (reason === undefined) return;
  if (process.env["CI"]) throw new Error(reason);
  skip(reason);
}

describe("on a real terminal", () => {
  it("makes a key without a question when --no-passphrase is given", async ({ skip }) => {
    needPty(skip);
    const key = join(temporaryFolder(), "key");
    const ran = await onTerminal(["keys", "new", "--no-passphrase", "--key", key]);
    expect(ran).toMatchObject({ code: 0, terminal: "" });
    expect(readFileSync(key, "utf8")).toMatch(/^nsec1/);
  });

  const secret = person().secret;
  const line = encrypt(secret, "open sesame", QUICK_LOGN);

  it("does not echo a passphrase, and asks again after a wrong one", async ({ skip }) => {
    needPty(skip);
    const { terminal, stdout, code, missing } = await onTerminal(
      ["keys", "show", "--secret", "--key", keyFile(line)],
      [
        { see: "Passphrase for ", type: "open barley\r" },
        { see: "wrong passphrase, try again", type: "" },
        { see: "Passphrase for ", type: "open sez\u007fsame\r" },
      ],
    );
    expect({ missing, code, stdout }).toEqual({
      missing: null,
      code: 0,
      stdout: `${nsecEncode(secret)}\n`,
    });
    expect(terminal).not.toMatch(/barley|sez|same/);
    expect(terminal).not.toContain("nsec");
  });

  it("does not echo a key that is pasted together with the passphrases", async ({ skip }) => {
    needPty(skip);
    const key = join(temporaryFolder(), "key");
    const nsec = nsecEncode(secret);
    const { terminal, stdout, code, missing } = await onTerminal(
      ["keys", "import", "--key", key],
      [{ see: "Secret key", type: `${nsec}\ropen sesame\ropen sesame\r` }],
    );
    expect({ missing, code }).toEqual({ missing: null, code: 0 });
    expect(stdout).toContain(`file: ${key}\nencrypted: yes\n`);
    expect(leaked(terminal, [nsec])).toEqual([]);
    expect(terminal).not.toContain("sesame");
    expect(decrypt(readFileSync(key, "utf8").trim(), "open sesame")).toEqual(secret);
  });

  it("ends at Ctrl-C, and writes nothing", async ({ skip }) => {
    needPty(skip);
    const key = join(temporaryFolder(), "key");
    const { terminal, stdout, code, missing } = await onTerminal(
      ["keys", "new", "--key", key],
      [{ see: "(empty: none): ", type: "open\u0003" }],
    );
    expect({ missing, code, stdout }).toEqual({ missing: null, code: INTERRUPTED, stdout: "" });
    expect(terminal).toContain("deaddrop: interrupted");
    expect(existsSync(key)).toBe(false);
  });
});
