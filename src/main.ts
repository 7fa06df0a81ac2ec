#!/usr/bin/env -S node --max-semi-space-size=8
// The command `deaddrop`.

import type { Command } from "./cli/command.ts";
import { COMMANDS } from "./cli/commands.ts";
import { CliError, DONE, exitCodeOf, tell } from "./cli/failure.ts";
import { helpFor } from "./cli/help.ts";
import {
  outputLost,
  refusedByMachine,
  unexpectedWord,
  unknownCommand,
  unknownOption,
} from "./cli/messages.ts";
import { type CommandLine, parse } from "./cli/options.ts";
import { VERSION } from "./version.ts";

// Whoever reads what is printed may stop early, as `head` does. That is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.exit(tell(process.stderr, outputLost(error.message)));
});
// Nobody is there to be told of it, and what a command does it does without being watched.
process.stderr.on("error", () => {});

process.exitCode = await exitCodeOf(
  () => run(process.argv.slice(2)).catch(refused),
  process.stderr,
);

// A full disk, a folder of somebody else: what the system refuses is no bug of ours.
function refused(error: unknown): never {
  const { syscall, message } = Object(error) as NodeJS.ErrnoException;
  throw syscall === undefined ? error : new CliError(refusedByMachine(message));
}

async function run(args: string[]): Promise<number> {
  const commandLine = parse(args);
  const { values, positionals } = commandLine;
  const [verb, ...words] = positionals;
  if (values.version === true) return print(`${VERSION}\n`);
  if (values.help === true || verb === undefined || verb === "help") {
    const topic = verb === "help" ? words[0] : verb;
    if (topic !== undefined && topic !== "help" && !Object.hasOwn(COMMANDS, topic)) {
      throw new CliError(unknownCommand(topic));
    }
    return print(helpFor(topic));
  }
  const command = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
  if (command === undefined) throw new CliError(unknownCommand(verb));
  mustTake(verb, command, commandLine);
  const tooMuch = words.at(command.words);
  if (words.length > command.words) throw new CliError(unexpectedWord(verb, tooMuch ?? ""));
  return command.run(values, words, process);
}

// An option of another command would be passed over in silence otherwise, and its wish with it.
function mustTake(verb: string, { options }: Command, { tokens }: CommandLine): void {
  for (const token of tokens) {
    if (token.kind !== "option" || options.includes(token.name)) continue;
    throw new CliError(unknownOption(verb, token.rawName));
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return DONE;
}
