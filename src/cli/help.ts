import { conformanceHelp } from "../conformance/help.ts";
import { COMMANDS } from "./commands.ts";

const WIDTH = Math.max(...Object.keys(COMMANDS).map((name) => name.length));

const HELP = `deaddrop: a Nostr relay that holds private messages until they are picked up,
and a client for such relays

Usage: deaddrop <command> [options]

Commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(WIDTH)}  ${summary}`)
  .join("\n")}

Options:
  -c, --config <file>   configuration file (default: $DEADDROP_CONFIG,
                        or ./deaddrop.yaml if there is one)
  -h, --help            this text, or a command's: "deaddrop help <command>"
  -V, --version         the version

Every setting of the relay can also be given as a variable:
DEADDROP_LISTEN=0.0.0.0:7777 deaddrop serve

Exit status: 0 when it is done, 1 when it failed, 2 for wrong use, 3 when some
relays or messages failed and some did not, 130 when it was interrupted by
Ctrl-C. The help of each command says what that means there.
`;

const SOCKS = `  --socks <host:port>   connect through this SOCKS5 proxy, and in no other way
                        (default: $DEADDROP_SOCKS, or no proxy)`;
const SOCKS_AS_SEND = `  --socks <host:port>   through this SOCKS5 proxy (see "deaddrop help send")`;
const TIMEOUT = `  --timeout <time>      how long a relay may take to answer (default 10s)`;

const DETAILS: Readonly<Record<string, string>> = {
  serve: `Usage: deaddrop serve [--config <file>]

Runs the relay in the foreground. Without any configuration it listens on
ws://127.0.0.1:7777 and keeps its store in ./data. SIGTERM and SIGINT end it:
what was asked is answered and on disk, then every connection is closed. SIGHUP,
and a change of the configuration file, have it read its configuration again:
its log says what was applied and what waits for a restart. A wrong file changes
nothing. (On a terminal SIGHUP ends it, as then the terminal is gone.)

Exit status: 0 when it was ended so, 1 when it cannot start or go on, 2 for
wrong use or a wrong configuration.

Example: DEADDROP_URL=wss://drop.example.com deaddrop serve
`,
  config: `Usage: deaddrop config [--config <file>]
       deaddrop config --example [env]

Prints the configuration in force, read from the file and the environment;
sizes in bytes, durations in seconds. With --example it prints a file with
every setting, what it means and its default; with --example env the same as
variables, for .env files and systemd.

Exit status: 0, or 2 for wrong use or a wrong configuration.

Example: deaddrop config --example > deaddrop.yaml
`,
  info: `Usage: deaddrop info [<url>] [--config <file>] [--socks <host:port>] [--json]

Asks a relay for its NIP-11 document and prints it; by default the relay that
this configuration describes.

Exit status: 0 when it has answered, 1 when it has not, 2 for wrong use or a
wrong configuration.

Example: deaddrop info wss://drop.example.com
`,
  admin: `Usage: deaddrop admin <method> [<key>|<address>|<text>] [<reason>]
                      [--relay <url>] [--key <file>] [--config <file>]
                      [--socks <host:port>] [--timeout <time>] [--json]

Steers a running relay (NIP-86), by default the one that this configuration
describes. Its setting "admins" has to name your key. What is decided holds at
once and from then on, also after a restart, beside what the configuration says.

  banpubkey <key>       drops for it and messages of kind 4 by it are refused;
                        banrecipient, banauthor: one of the two
  unbanpubkey <key>     not any more; also unbanrecipient, unbanauthor
  listbannedpubkeys     whom, as what, and why
  allowpubkey <key>     serves it where allowedRecipients names others
  unallowpubkey <key>   not any more
  listallowedpubkeys    whom, and why
  removebox <key>       removes all that is held for a recipient who is banned
  blockip <address>     lets nobody in from there; a network: 10.0.0.0/8
  unblockip <address>   not any more
  listblockedips        which, and why
  changerelayname <text>, changerelaydescription <text>, changerelayicon <text>
                        what the relay says of itself; "": as configured
  stats                 what is held and open, and what was counted
  supportedmethods      all of these

Words behind a key or an address are the reason, which is kept and logged.

Exit status: 0 when it is done, 1 when the relay refuses it or does not answer,
2 for wrong use or a wrong configuration.

Example: deaddrop admin banpubkey npub1… sends spam
`,
  clock: `Usage: deaddrop clock confirm [--config <file>]

Tells the relay that runs on this configuration's store that the machine's
clock is right. A relay whose clock is far beyond its last sweep, or was set
while it ran, says so in its log and on /metrics (deaddrop_clock_believed 0),
and deletes nothing more for being past until the clock has been steady for an
hour; this ends the waiting. Look at the time first (date -u): what a wrong
clock deletes is gone. Nobody has to do this.

Exit status: 0 when the relay has taken it, 1 when none runs there, 2 for
wrong use or a wrong configuration.

Example: deaddrop clock confirm
`,
  "verify-store": `Usage: deaddrop verify-store [--repair] [--config <file>]

Reads the store of this configuration from one end to the other, and says
whether everything in it fits together: each drop with its key, its place in its
box, its expiry and its author's memory of it, and nothing else beside them.
Changes nothing, unless --repair is given. To be asked while no relay has the
store open.

  --repair              derive from the drops what does not fit, and take out
                        drops that cannot be read; tombstones stay, and nothing
                        that was acknowledged comes back. Back up first

Exit status: 0 when it is whole, or was repaired; 1 when it is not or cannot be
read, 2 for wrong use or a wrong configuration.

Example: deaddrop verify-store
`,
  stats: `Usage: deaddrop stats [--json] [--config <file>]

Says in numbers what the store of this configuration holds: drops, their bytes,
for how many recipients, the oldest, what is past within a day, tombstones, and
how much of the file is free. Reads all of it, while a relay runs on it or not.

Exit status: 0 when it is said, 1 when there is no store or it cannot be read,
2 for wrong use or a wrong configuration.

Example: deaddrop stats --json
`,
  compact: `Usage: deaddrop compact [--config <file>]

Makes the file of the store of this configuration as small as what is in it: by
itself it never becomes smaller. To be asked while no relay has the store open.
The new file is made beside the old one, so the disk needs room for both, and
takes its place when it was looked through and is on disk; zeros are written
over the old one. A power cut leaves the one or the other.

Exit status: 0 when it is done, 1 when it is not and nothing has changed, 2 for
wrong use or a wrong configuration.

Example: deaddrop compact
`,
  export: `Usage: deaddrop export [<file>] [--recipient <key>] [--after <number>]
       deaddrop export <file> --resume

Writes what the store of this configuration holds to a file or to standard
output: an event a line as JSON (NIP-01), in the order in which they came, while
a relay runs on it or not. What messages say is encrypted by their senders; for
whom they are is not: keep it as you would the store's secret.

Neither what was acknowledged is in it nor its tombstones: a store has no ids of
these. To move a store with them, see "deaddrop help backup".

  --recipient <key>     of one box alone: npub1… or 64 hex digits
  --after <number>      what came after an earlier export, which ended with
                        this number
  --resume              go on with a file that broke off, whatever ended it

Exit status: 0 when all of it is written, 1 when it is not, 2 for wrong use or
a wrong configuration, 130 when it was interrupted.

Example: deaddrop export drops.jsonl
`,
  import: `Usage: deaddrop import [<file>|-] [--resume] [--json] [--config <file>]

Takes events from JSON lines, as "deaddrop export" and strfry's export write
them, into the store of this configuration; without one it makes one. To be
asked while no relay has the store open. Each event is checked as if it were
published: its id and signature, kind, time and recipient, and how full the box
is. What was acknowledged here does not come back; acknowledgements among the
lines, and deletions, are carried out. It says how many were refused, and why.
What is imported twice is known the second time.

  --resume              go on with the file whose import broke off, whatever
                        ended it
  --json                one object with the counts

Exit status: 0 when none was refused, 3 when some were, 1 when all were or it
broke off, 2 for wrong use or a wrong configuration, 130 when it was
interrupted.

Example: strfry export | deaddrop import
`,
  backup: `Usage: deaddrop backup <folder> [--config <file>]

Copies the store of this configuration into a folder, which must be empty or not
be there, while a relay runs on it or not: all that was on disk at one moment.
What was acknowledged before is in it as a tombstone alone. What is acknowledged
afterwards stays in the backup, so keep none longer than you need it. The
store's secret is copied too if it lies beside the store (storeSecret is empty).

Exit status: 0 when the backup is whole and on disk, 1 when it is not and the
folder is empty, 2 for wrong use or a wrong configuration.

Example: deaddrop backup /mnt/backups/2026-11-27
`,
  restore: `Usage: deaddrop restore <folder> [--tombstones-only] [--config <file>]

Makes a store of a backup where this configuration has its own; there must be
none, so the relay does not run. The backup is checked first, byte by byte, and
then as verify-store does. What was acknowledged after the backup is held again
and shown to its recipient again; nothing in it can tell. --tombstones-only
leaves out all that was held, and keeps only what must not come back.

Exit status: 0 when the store is there, 1 when it is not, 2 for wrong use or a
wrong configuration.

Example: deaddrop restore /mnt/backups/2026-11-27
`,
  conformance: conformanceHelp("deaddrop conformance"),
  keys: `Usage: deaddrop keys new|import [--no-passphrase] [--key <file>] [--json]
       deaddrop keys show [--secret] [--key <file>] [--json]
       deaddrop keys auth <url> [--method <method>] [--key <file>] [--json]

new makes a key, import takes one from a hidden prompt or standard input
(nsec1…, ncryptsec1… or 64 hex digits), show tells whose it is. A key file can
be read by its owner alone, and is encrypted when a passphrase is given
(NIP-49). On a terminal new and import ask for one; --no-passphrase sets none
and asks nothing, as scripts want it. No file is overwritten. auth prints an
Authorization header for one HTTP request, good for a minute (NIP-98).

The key is the file named by --key, else $DEADDROP_KEY (the key itself),
$DEADDROP_KEY_FILE, or "key" in the home folder: $DEADDROP_HOME, or
~/.config/deaddrop. Its passphrase is asked for, or is $DEADDROP_PASSPHRASE.

Exit status: 0 when it is done, 1 when there is no key, it is damaged, or none
can be written, 2 for wrong use, also where nobody can be asked.

Example: deaddrop keys new
Example: deaddrop keys import --key alice.key < alice.nsec
`,
  send: `Usage: deaddrop send <person> [<text>|-] [--relay <url>]... [options]
       deaddrop send --retry

Encrypts a message for somebody (NIP-17), drops it at the relays where they
receive, and says what each relay answered. The text comes from standard input
when there is none, or "-". What fewer relays hold than the quorum is kept, and
goes on with --retry: the same message, not a second one. A text that came from
standard input and cannot be sent is kept in a file that only you can read; the
error names it, and says how to send it again.

A person is npub1…, nprofile1…, either behind nostr:, 64 hex digits, or an
address such as bob@example.com (NIP-05), by the word of its domain.

  -r, --relay <url>     where the recipient receives (default: looked up in
                        their kind 10050 list, whose relays within your own
                        network are left out unless they are yours too);
                        may be repeated
  --discovery <url>     where to look their list up (default:
                        $DEADDROP_DISCOVERY, or some public relays);
                        may be repeated
  --expires <time>      let it be forgotten after at least this long: 7d, 12h
  --quorum <n>          how many relays must hold it (default: more than half)
  --rewrap              a wrap of its own for each relay, so that they cannot
                        tell that it is the same message
  --print               print the encrypted event and send nothing
  --retry               go on with what did not reach its quorum
  -k, --key <file>      who sends (see "deaddrop help keys")
${SOCKS}
${TIMEOUT}
  --json                one object with the answer of each relay

Through a proxy such as Tor's (--socks 127.0.0.1:9050 --timeout 60s) .onion
relays can be used, names are resolved by it, and each connection is on a
circuit of its own. Every command that asks relays takes --socks.

Exit status: 0 when a quorum holds it, 3 when some relays do, 1 when none does,
2 for wrong use, 130 when interrupted.

Example: echo "Under the third bench." | deaddrop send npub1…
`,
  pickup: `Usage: deaddrop pickup [--ack [--grace <time>]] [--relay <url>]... [--json]

Prints everything that your relays hold for you, each message once, oldest
first. Nothing is deleted unless --ack is given, and then only what was
printed. Interrupted, it prints what came so far, and nothing is deleted.

  --ack                 let the relays forget what was printed
  --grace <time>        but leave it to your other devices for so long: 2d, 12h
  -r, --relay <url>     instead of your own relays (see "deaddrop help relays");
                        may be repeated
  -k, --key <file>      whose box (see "deaddrop help keys")
${SOCKS_AS_SEND}
${TIMEOUT}
  --json                one object per line, as they come: relays send the
                        newest first

The text of a message is indented; what stands at the margin is not part of it.

Exit status: 0 when every relay was read, and told if --ack is given, 3 when
some were, 1 when none was, 2 for wrong use, 130 when interrupted.

Example: deaddrop pickup --ack --json >> messages.ndjson
`,
  watch: `Usage: deaddrop watch [--ack [--grace <time>]] [--relay <url>]... [--json]

Prints what your relays hold for you, oldest first, and then what comes, until
it is interrupted. Relays that are not there are tried again, and it says when
one is lost and when it is back. The options are those of "deaddrop pickup".

Exit status: 0 when it was interrupted, 1 when it cannot go on, 2 for wrong use.

Example: deaddrop watch --ack
`,
  ack: `Usage: deaddrop ack <id>... [--grace <time>] [--relay <url>]... [--json]

Lets all your relays forget these messages, by the ids that pickup prints: also
relays that did not have them, since a copy may be on its way. Relays that are
not there are told by a later command. A relay that is no dead drop is not
told, as it would tell everybody: the messages stay there until it drops them,
and are not printed here again.

  --grace <time>        leave them to your other devices for so long: 2d, 12h
  --print               print the acknowledgement, one for each 1,000 ids,
                        and tell nobody
  -r, --relay <url>     instead of your own relays; may be repeated
  -k, --key <file>      whose drops (see "deaddrop help keys")
${SOCKS_AS_SEND}
${TIMEOUT}
  --json                one object for each relay

Exit status: 0 when every relay was told, 3 when some were, 1 when none was,
2 for wrong use.

Example: deaddrop ack 5d02…
`,
  open: `Usage: deaddrop open [--key <file>] [--json]

Opens drops that came another way, such as over HTTP: reads one event as JSON
from each line of standard input.

Exit status: 0 when all of them were opened, 3 when some were, 1 when none was,
2 for wrong use.

Example: curl -sS -H "Authorization: $token" "$url" | deaddrop open
`,
  relays: `Usage: deaddrop relays [--json]
       deaddrop relays set <url>... [--discovery <url>]...
       deaddrop relays publish
       deaddrop relays of <person>

Without anything, shows the relays where you receive. set keeps them for this
key and publishes them as a kind 10050 list (NIP-17) at the discovery relays,
so that others can find them; publish does that once more. of looks up somebody
else's, named as in "deaddrop help send".

  --discovery <url>     where lists are kept (default: $DEADDROP_DISCOVERY, or
                        some public relays); may be repeated
  -k, --key <file>      whose relays (see "deaddrop help keys")
${SOCKS_AS_SEND}
${TIMEOUT}

Instead of a list that was set, $DEADDROP_RELAYS names relays, with commas
between them.

Exit status: 0 when it is done, also where relays keep nothing public; 3 when
some relays did not publish the list, 1 when none did or no list is found, 2
for wrong use.

Example: deaddrop relays set wss://drop.example.com wss://drop.example.org
`,
  status: `Usage: deaddrop status [--relay <url>]... [--key <file>] [--timeout <time>]
                       [--socks <host:port>] [--json]

Says for each of your relays how many drops it holds for you, how old the
oldest is, and when the next one expires. Tells them what could not be told
before.

Exit status: 0 when every relay was read, 3 when some were, 1 when none was,
2 for wrong use.

Example: deaddrop status --json
`,
  completion: `Usage: deaddrop completion bash|zsh|fish

Prints a script that lets a shell complete commands and options.

Exit status: 0, or 2 for wrong use.

Example: source <(deaddrop completion bash)
`,
};

/** The help text of a command, or of the whole. */
export function helpFor(command: string | undefined): string {
  return (command !== undefined && Object.hasOwn(DETAILS, command) && DETAILS[command]) || HELP;
}
