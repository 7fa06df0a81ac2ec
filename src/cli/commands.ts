// The commands: what each is called, which options it takes, and what does it.

// Each is loaded when it is asked for: the relay's store and the client's cryptography take their time, and no command needs both.

import type { Config } from "../config/schema.ts";
import type { Command } from "./command.ts";
import { CliError, DONE } from "./failure.ts";
import { MANAGEMENT_METHODS } from "../nostr/management.ts";
import { interrupted, wishes } from "./interrupted.ts";
import {
  ADMIN_ONE_RELAY,
  BACKUP_NEEDS_FOLDER,
  badConfiguration,
  CLOCK_ACTIONS,
  CONFIG_WORDS,
  KEYS_ACTIONS,
  keysTakesNoMore,
  optionOfOtherActions,
  RESTORE_NEEDS_FOLDER,
} from "./messages.ts";
import { count, type OptionName, type OptionValues, seconds, timeoutSeconds } from "./options.ts";
import type { PickupOptions } from "./pickup.ts";
import type { ProfileOptions } from "./profile.ts";
import type { Terminal } from "./terminal.ts";

const PROFILE = ["key", "relay", "socks", "timeout", "json"] as const;

// Options that not every action of `keys` takes: each would be passed over in silence by the others.
const KEYS_OPTIONS = {
  secret: ["show"],
  method: ["auth"],
  "no-passphrase": ["new", "import"],
} as const satisfies Partial<Record<OptionName, readonly string[]>>;

/** All of them, the relay's own first. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  serve: {
    summary: "run the relay",
    words: 0,
    options: ["config"],
    async run({ config }, _, { env }) {
      // Before anything is open: who asks it to end while it starts means it too.
      const asked = wishes();
      const { serve } = await import("../server/serve.ts");
      const { configurationSource } = await import("../config/load.ts");
      const source = configurationSource(env, config);
      return serve(await configuration(env, config), source, asked);
    },
  },
  config: {
    summary: "print the configuration in force, or an example file",
    words: 1,
    options: ["config", "example"],
    actions: ["env"],
    async run({ config, example = false }, [kind], { env, stdout }) {
      if (kind !== undefined && (kind !== "env" || !example)) throw new CliError(CONFIG_WORDS);
      const { printConfig, printEnvironmentExample, printExample } =
        await import("../config/print.ts");
      if (kind === "env") stdout.write(printEnvironmentExample());
      else if (example) stdout.write(printExample());
      else stdout.write(printConfig(await configuration(env, config)));
      return DONE;
    },
  },
  info: {
    summary: "ask a running relay who it is and how it is",
    words: 1,
    options: ["config", "socks", "json"],
    async run({ config, socks, json = false }, [url], terminal) {
      const { info } = await import("./info.ts");
      const { env, stdout } = terminal;
      stdout.write(await info(await configuration(env, config), { url, socks, json }, terminal));
      return DONE;
    },
  },
  admin: {
    summary: "steer a running relay: ban, allow, block, rename",
    words: Infinity,
    options: ["config", ...PROFILE],
    actions: Object.keys(MANAGEMENT_METHODS),
    async run(given, words, terminal) {
      const { config, key, relay: [url, ...others] = [], socks, timeout, json = false } = given;
      if (others.length > 0) throw new CliError(ADMIN_ONE_RELAY);
      const { admin } = await import("./admin.ts");
      const { urlOf } = await import("./info.ts");
      return admin(
        words,
        {
          key,
          url: url ?? urlOf(await configuration(terminal.env, config)),
          socks,
          timeoutSeconds: timeoutSeconds(timeout),
          json,
        },
        terminal,
      );
    },
  },
  clock: {
    summary: "tell a running relay that its clock is right",
    words: 1,
    options: ["config"],
    actions: ["confirm"],
    async run({ config }, [action], terminal) {
      if (action !== "confirm") throw new CliError(CLOCK_ACTIONS);
      const { confirmClock } = await import("./clock.ts");
      return confirmClock(await configuration(terminal.env, config), terminal);
    },
  },
  "verify-store": {
    summary: "look whether a store that no relay has open is whole",
    words: 0,
    options: ["config", "repair"],
    async run({ config, repair = false }, _, terminal) {
      const { repairStore, verifyStore } = await import("./verify-store.ts");
      const work = repair ? repairStore : verifyStore;
      return work(await configuration(terminal.env, config), terminal);
    },
  },
  stats: {
    summary: "what the store holds, in numbers, while a relay runs or not",
    words: 0,
    options: ["config", "json"],
    async run({ config, json = false }, _, terminal) {
      const { stats } = await import("./stats.ts");
      return stats(await configuration(terminal.env, config), { json }, terminal);
    },
  },
  compact: {
    summary: "make the file of a store smaller that no relay has open",
    words: 0,
    options: ["config"],
    async run({ config }, _, terminal) {
      const { compactStore } = await import("./compact.ts");
      return compactStore(await configuration(terminal.env, config), terminal);
    },
  },
  backup: {
    summary: "copy the store into a folder, while a relay runs or not",
    words: 1,
    options: ["config"],
    async run({ config }, [folder], terminal) {
      if (folder === undefined) throw new CliError(BACKUP_NEEDS_FOLDER);
      const { backup } = await import("./backup.ts");
      return backup(await configuration(terminal.env, config), folder, terminal);
    },
  },
  restore: {
    summary: "make a store of a backup, before a relay starts",
    words: 1,
    options: ["config", "tombstones-only"],
    async run({ config, "tombstones-only": tombstonesOnly = false }, [folder], terminal) {
      if (folder === undefined) throw new CliError(RESTORE_NEEDS_FOLDER);
      const { restoreBackup } = await import("./backup.ts");
      const configured = await configuration(terminal.env, config);
      return restoreBackup(configured, folder, tombstonesOnly, terminal);
    },
  },
  export: {
    summary: "write what is held as JSON lines, while a relay runs or not",
    words: 1,
    options: ["config", "recipient", "after", "resume"],
    async run({ config, recipient, after, resume = false }, [file], terminal) {
      const stopping = interrupted();
      const { exportStore } = await import("./export.ts");
      const configured = await configuration(terminal.env, config);
      return exportStore(configured, { file, recipient, after, resume }, terminal, stopping);
    },
  },
  import: {
    summary: "take events from JSON lines into a store that no relay has open",
    words: 1,
    options: ["config", "resume", "json"],
    async run({ config, resume = false, json = false }, [file], terminal) {
      const stopping = interrupted();
      const { importStore } = await import("./import.ts");
      const configured = await configuration(terminal.env, config);
      return importStore(configured, { file, resume, json }, terminal, stopping);
    },
  },
  conformance: {
    summary: "check any relay against NIP-DD and the NIPs it leans on",
    words: 1,
    options: ["only", "all", "list", "json", "timeout"],
    async run({ only = [], all = false, list = false, json = false, timeout }, [url], terminal) {
      const { conformance, timeLimit } = await import("../conformance/command.ts");
      const timeoutSeconds = timeLimit(timeout);
      return conformance(
        { program: "deaddrop", url, json, only, all, list, timeoutSeconds },
        terminal,
      );
    },
  },
  keys: {
    summary: "make, show or import the key that sends and receives",
    words: 2,
    options: ["key", "json", ...(Object.keys(KEYS_OPTIONS) as (keyof typeof KEYS_OPTIONS)[])],
    actions: ["new", "show", "import", "auth"],
    async run(given, [action = "", url], terminal) {
      const { key, secret = false, method, json = false } = given;
      const noPassphrase = given["no-passphrase"] ?? false;
      const { importKey, newKey, showKey } = await import("./keys.ts");
      const { authorize } = await import("./authorize.ts");
      if (action !== "auth" && url !== undefined) {
        throw new CliError(keysTakesNoMore(action));
      }
      for (const [option, actions] of Object.entries(KEYS_OPTIONS)) {
        const isFor = (actions as readonly string[]).includes(action);
        if (isFor || given[option as keyof typeof KEYS_OPTIONS] === undefined) continue;
        throw new CliError(optionOfOtherActions(option, actions));
      }
      switch (action) {
        case "new":
          return newKey({ key, json, noPassphrase }, terminal);
        case "show":
          return showKey({ key, json, secret }, terminal);
        case "import":
          return importKey({ key, json, noPassphrase }, terminal);
        case "auth":
          return authorize({ key, url, method, json }, terminal);
        default:
          throw new CliError(KEYS_ACTIONS);
      }
    },
  },
  send: {
    summary: "send a message to somebody",
    words: Infinity,
    options: [...PROFILE, "discovery", "expires", "quorum", "rewrap", "print", "retry"],
    async run(given, [to, ...text], terminal) {
      const { send } = await import("./send.ts");
      return send(
        {
          ...profileOf(given),
          to,
          text: text.length === 0 ? undefined : text.join(" "),
          expiresInSeconds: seconds(given.expires, "expires"),
          quorum: count(given.quorum, "quorum"),
          rewrap: given.rewrap ?? false,
          print: given.print ?? false,
          retry: given.retry ?? false,
          json: given.json ?? false,
        },
        terminal,
        interrupted,
      );
    },
  },
  pickup: {
    summary: "print what is held for you",
    words: 0,
    options: [...PROFILE, "ack", "grace"],
    async run(given, _, terminal) {
      const { pickup } = await import("./pickup.ts");
      return pickup(pickupOf(given), terminal, interrupted());
    },
  },
  watch: {
    summary: "print what is held for you and what comes",
    words: 0,
    options: [...PROFILE, "ack", "grace"],
    async run(given, _, terminal) {
      const { watch } = await import("./watch.ts");
      return watch(pickupOf(given), terminal, interrupted());
    },
  },
  ack: {
    summary: "let your relays forget drops that you have",
    words: Infinity,
    options: [...PROFILE, "grace", "print"],
    async run(given, ids, terminal) {
      const { ack } = await import("./ack.ts");
      return ack({ ...pickupOf(given), ids, print: given.print ?? false }, terminal);
    },
  },
  open: {
    summary: "open drops that came another way",
    words: 0,
    options: ["key", "json"],
    async run({ key, json = false }, _, terminal) {
      const { openDrops } = await import("./open.ts");
      return openDrops({ key, json }, terminal);
    },
  },
  relays: {
    summary: "show, set or publish the relays where you receive",
    words: Infinity,
    options: ["key", "discovery", "socks", "timeout", "json"],
    actions: ["set", "publish", "of"],
    async run(given, [action, ...values], terminal) {
      const { relays } = await import("./relays.ts");
      const json = given.json ?? false;
      return relays({ ...profileOf(given), action, values, json }, terminal);
    },
  },
  status: {
    summary: "what each of your relays holds for you",
    words: 0,
    options: [...PROFILE],
    async run(given, _, terminal) {
      const { status } = await import("./status.ts");
      return status({ ...profileOf(given), json: given.json ?? false }, terminal);
    },
  },
  completion: {
    summary: "print the completion of bash, zsh or fish",
    words: 1,
    options: [],
    actions: ["bash", "zsh", "fish"],
    async run(_, [shell = ""], { stdout }) {
      const { completion } = await import("./completion.ts");
      stdout.write(completion(shell, COMMANDS));
      return DONE;
    },
  },
};

async function configuration(env: Terminal["env"], file: string | undefined): Promise<Config> {
  const { ConfigError, loadConfig } = await import("../config/load.ts");
  try {
    return loadConfig(env, file);
  } catch (error) {
    throw error instanceof ConfigError ? new CliError(badConfiguration(error.message)) : error;
  }
}

function profileOf({
  key,
  relay = [],
  discovery = [],
  socks,
  timeout,
}: OptionValues): ProfileOptions {
  return { key, relay, discovery, socks, timeoutSeconds: timeoutSeconds(timeout) };
}

function pickupOf(given: OptionValues): PickupOptions {
  return {
    ...profileOf(given),
    ack: given.ack ?? false,
    graceSeconds: seconds(given.grace, "grace"),
    json: given.json ?? false,
  };
}
