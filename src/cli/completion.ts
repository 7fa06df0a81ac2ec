import type { Command } from "./command.ts";
import { CliError } from "./failure.ts";
import { UNKNOWN_SHELL } from "./messages.ts";
import { OPTIONS, type OptionName } from "./options.ts";

type Commands = Readonly<Record<string, Command>>;

/** A script that lets a shell complete `deaddrop`, made from the table of commands. Throws a CliError for another shell. */
export function completion(shell: string, commands: Commands): string {
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      return `#compdef deaddrop\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
    case "fish":
      return fish(commands);
    default:
      throw new CliError(UNKNOWN_SHELL);
  }
}

function wordsOf({ actions = [], options }: Command): string {
  return [...actions, ...options.map((name) => `--${name}`), "--help"].join(" ");
}

function bash(commands: Commands): string {
  const cases = Object.entries(commands).map(
    ([name, command]) => `    ${name}) words="${wordsOf(command)}" ;;`,
  );
  return `_deaddrop() {
  local words word
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    --key|-k|--config|-c) COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")); return ;;
  esac
  words="${Object.keys(commands).join(" ")} help --help --version"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
${cases.map((line) => `  ${line}`).join("\n")}
      *) continue ;;
    esac
    break
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _deaddrop deaddrop
`;
}

function fish(commands: Commands): string {
  const lines = ["complete -c deaddrop -f"];
  for (const [name, { summary, options, actions = [] }] of Object.entries(commands)) {
    const within = `-n "__fish_seen_subcommand_from ${name}"`;
    lines.push(`complete -c deaddrop -n __fish_use_subcommand -a ${name} -d "${summary}"`);
    for (const action of actions) lines.push(`complete -c deaddrop ${within} -a ${action}`);
    for (const option of options) lines.push(`complete -c deaddrop ${within} ${flag(option)}`);
  }
  return `${lines.join("\n")}\n`;
}

function flag(name: OptionName): string {
  const option: { type: string; short?: string } = OPTIONS[name];
  const short = option.short === undefined ? "" : ` -s ${option.short}`;
  if (option.type === "boolean") return `-l ${name}${short}`;
  return name === "key" || name === "config" ? `-l ${name}${short} -r -F` : `-l ${name}${short} -r`;
}
