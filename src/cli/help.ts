export const HELP = `deaddrop: a Nostr relay that holds private messages until they are picked up

Usage: deaddrop <command> [options]

Commands:
  serve        run the relay
  config       print the configuration in force, or an example file
  info         ask a running relay who it is and how it is
  conformance  check any relay against NIP-DD and the NIPs it leans on

Options:
  -c, --config <file>   configuration file (default: $DEADDROP_CONFIG, or ./deaddrop.yaml if there is one)
  -h, --help            this text, or a command's with "deaddrop help <command>"
  -V, --version         the version

Every setting can also be given as a variable: DEADDROP_LISTEN=0.0.0.0:7777 deaddrop serve
`;

const COMMANDS: Readonly<Record<string, string>> = {
  serve: `Usage: deaddrop serve [--config <file>]

Runs the relay in the foreground. Without any configuration it listens on ws://127.0.0.1:7777 and keeps its store in ./data.
SIGTERM and SIGINT end it: what was asked is answered and on disk, then every connection is closed.

Example: DEADDROP_URL=wss://drop.example.com DEADDROP_RETENTION=14d deaddrop serve
`,
  config: `Usage: deaddrop config [--config <file>]
       deaddrop config --example

Prints the configuration in force, read from the file and the environment; sizes in bytes, durations in seconds.
With --example it prints a file with every setting, what it means and its default.

Example: deaddrop config --example > deaddrop.yaml
`,
  info: `Usage: deaddrop info [<url>] [--json]

Asks a relay for its NIP-11 document and prints it; by default the relay that this configuration describes.

Example: deaddrop info wss://drop.example.com
`,
  conformance: `Usage: deaddrop conformance <url> [--only <name>]... [--all] [--json] [--timeout <seconds>]
       deaddrop conformance --list

Checks a relay against the obligations of NIP-DD, NIP-01 and the others it advertises. Each check passes, fails with the
transcript that shows it, or is skipped with the reason. What it drops there it acknowledges in the end.

  --only <name>        a check, a subject, an obligation such as "ack-3", or a NIP such as "nip-42"; may be repeated
  --all                also what the relay does not advertise
  --json               one object per line; the last one is the summary
  --list               the checks, and what each tests
  --timeout <seconds>  for one check (default 30)

Exit status: 0 when nothing failed, 1 when something did, 2 for wrong use.

Example: deaddrop conformance wss://drop.example.com
`,
};

/** The help text of a command, or of the whole. */
export function helpFor(command: string | undefined): string {
  return (command === undefined ? undefined : COMMANDS[command]) ?? HELP;
}
