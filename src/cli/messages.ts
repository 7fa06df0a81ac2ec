// Everything that the commands say to people beside their results and their help: what is told, and the exit code that it leads to.
//
// - A message says what is wrong, and on a second line what to do where that does not fit on the first. It stands last: nothing is printed after an error.
// - It says relay, message and key, names each thing once, and repeats no secret.
// - Where a command goes on, the exit code is DONE; where it depends on what other relays did, it is given.

import { DONE, type ExitCode, FAILED, INTERRUPTED, type Message, WRONG_USE } from "./failure.ts";

const note = (text: string): Message => ({ text, exitCode: DONE });
const failed = (text: string): Message => ({ text, exitCode: FAILED });
const wrongUse = (text: string): Message => ({ text, exitCode: WRONG_USE });

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

const listed = (urls: readonly string[]): string =>
  urls.length < 2 ? urls.join() : `${urls.slice(0, -1).join(", ")} and ${urls.at(-1)}`;

type Lost = { readonly path: string; readonly why: string };
// Where a damaged file is kept; undefined: where it was.
type Aside = { readonly keptAs: string | undefined };
const keptFor = ({ keptAs }: Aside): string =>
  keptAs === undefined ? "" : `\n  the file is kept as ${keptAs}`;

// --- the command line

export const unknownCommand = (name: string): Message =>
  wrongUse(`there is no command "${name}"; "deaddrop help" lists them all`);
export const unknownOption = (command: string, option: string): Message =>
  wrongUse(`${command} has no option ${option}; see "deaddrop help ${command}"`);
export const unexpectedWord = (command: string, word: string): Message =>
  wrongUse(`${command} takes no "${word}"; see "deaddrop help ${command}"`);
export const noSuchOption = (option: string): Message =>
  wrongUse(
    `there is no option ${option}; see "deaddrop help"\n  words that begin with "-" stand after "--"`,
  );
export const optionWithoutValue = (option: string): Message =>
  wrongUse(`${option} needs a value after it; see "deaddrop help"`);
export const optionTakesNoValue = (option: string): Message =>
  wrongUse(`${option} takes no value; see "deaddrop help"`);
export const badCommandLine = (why: string): Message => wrongUse(`${why}; see "deaddrop help"`);
export const noDuration = (option: string, text: string): Message =>
  wrongUse(`--${option} takes a time such as 90s, 12h or 7d, not "${text}"`);
export const noUnit = (option: string, text: string, write: string): Message =>
  wrongUse(`--${option} ${text} has no unit: write ${write}`);
export const TIMEOUT_TOO_LONG = wrongUse("--timeout takes an hour at most");
export const noCount = (option: string, text: string): Message =>
  wrongUse(`--${option} takes a whole number of at least 1, not "${text}"`);
export const badConfiguration = (why: string): Message => wrongUse(why);
export const badArgument = (why: string): Message => wrongUse(why);
export const UNKNOWN_SHELL = wrongUse("for which shell? bash, zsh or fish");
export const INTERRUPTED_MESSAGE: Message = { text: "interrupted", exitCode: INTERRUPTED };
export const outputLost = (why: string): Message =>
  failed(`cannot write to standard output: ${why}`);
export const refusedByMachine = (why: string): Message =>
  failed(`this machine refuses: ${why}\n  see to it, and start again`);

// --- what is asked and typed

export const nobodyToAsk = (question: string): Message =>
  wrongUse(`nobody to ask "${question}"; run this on a terminal`);
export const INPUT_ENDED = failed("the input ended before there was an answer; start again");
export const answerTooLong = (maxBytes: number): Message =>
  failed(`the answer is too long; at most ${maxBytes} bytes`);
export const inputTooLong = (name: string, maxBytes: number): Message =>
  failed(`${name} is too long; at most ${maxBytes} bytes are read`);
export const notText = (name: string): Message => failed(`${name} is no text; give UTF-8`);

// --- keys and who is meant

export const personMissing = (who: string): Message =>
  wrongUse(`${who} is missing: npub1…, nprofile1… or bob@example.com`);
export const notAPerson = (who: string, why: string): Message => wrongUse(`${who}: ${why}`);
export const personNotFound = (why: string): Message => failed(why);
export const RECIPIENT = "the recipient";
export const PERSON = "the person";
export const notAProxy = (from: string, why: string): Message => wrongUse(`${from}: ${why}`);
export const notRelays = (why: string): Message => wrongUse(why);
export const KEYS_ACTIONS = wrongUse("keys takes new, show, import or auth");
export const keysTakesNoMore = (action: string): Message =>
  wrongUse(
    `keys ${action} takes nothing more\n  a secret comes from a prompt or standard input, a file is named by --key`,
  );
export const optionOfOtherActions = (option: string, actions: readonly string[]): Message =>
  wrongUse(`--${option} is for keys ${actions.join(" and keys ")}`);
export const staysEncrypted = (where: string): Message =>
  wrongUse(
    `${where}: the key is encrypted and stays so\n  leave out --no-passphrase, or give the nsec`,
  );
export const NO_URL_TO_AUTHORIZE = wrongUse(
  "for which URL? Give the whole of it,\n  such as https://drop.example.com/pickup/npub1…",
);
export const KEY_NAMES_NO_FILE = wrongUse("--key names no file; give one, or leave it out");
export const noKey = (file: string): Message =>
  failed(
    `there is no key at ${file}\n  make one with "deaddrop keys new", or name a file with --key`,
  );
export const keyUnreadable = (why: string): Message =>
  failed(
    `cannot read a key (${why})\n  make one with "deaddrop keys new", or name a file with --key`,
  );
export const noKeyFile = (file: string): Message =>
  failed(
    `${file}: no key file, as it holds neither nsec1… nor ncryptsec1…\n  make one with "deaddrop keys import"`,
  );
export const keyOpenToOthers = (file: string, quoted: string): Message =>
  failed(`${file} can be read by others; run: chmod 600 ${quoted}`);
export const keyExists = (file: string): Message =>
  failed(
    `${file} exists, and a key is never written over\n  move it away, or name another file with --key`,
  );
export const keyNotWritten = (file: string, why: string): Message =>
  failed(`no key was written to ${file} (${why})\n  name another file with --key`);
export const notASecret = (where: string): Message =>
  failed(`${where}: there is no secret key; give nsec1…, ncryptsec1… or 64 hex digits`);
export const publicKeyGiven = (where: string): Message =>
  failed(`${where}: that is a public key; give nsec1…, ncryptsec1… or 64 hex digits`);
export const keyDamaged = (where: string, what: "nsec" | "ncryptsec"): Message =>
  failed(`${where}: the ${what} is damaged, its checksum is wrong; copy it again`);
export const keyOutOfRange = (where: string): Message =>
  failed(`${where}: not a key\n  it is not 32 bytes within the range of secp256k1; give another`);
export const unknownEncryption = (where: string, version: number): Message =>
  failed(
    `${where}: an encrypted key of a kind unknown here\n  give the nsec, or NIP-49 version ${version}`,
  );
export const costlyEncryption = (where: string, logn: number, most: number): Message =>
  failed(
    `${where}: opening this key would take too much memory (logn ${logn}, at most ${most})\n  encrypt it again with less`,
  );
export const tooLittleMemory = (where: string): Message =>
  failed(`${where}: too little memory to open this key; free some`);
export const wrongPassphraseGiven = (where: string): Message =>
  failed(
    `${where}: wrong passphrase in DEADDROP_PASSPHRASE\n  correct it, or unset it to be asked`,
  );
export const passphraseMissing = (where: string): Message =>
  wrongUse(`${where}: the key is encrypted\n  set DEADDROP_PASSPHRASE, or run this on a terminal`);
export const wrongPassphrase = (where: string): Message =>
  failed(`${where}: wrong passphrase; find the right one, and start again`);
export const WRONG_PASSPHRASE_AGAIN = note("wrong passphrase, try again");
export const PASSPHRASES_DIFFER_AGAIN = note("the two differ, try again");
export const PASSPHRASES_DIFFER = failed(
  "the passphrases differ; nothing was written, start again",
);
export const OTHER_KEY_PREFERRED = note(
  "unset DEADDROP_KEY to use this key; until then it is preferred",
);
export const SECRET_QUESTION = "Secret key (nsec1…, ncryptsec1… or 64 hex digits): ";
export const SECRET_TYPED = "what was typed";
export const STANDARD_INPUT = "standard input";
export const NEW_PASSPHRASE_QUESTION = "Passphrase to encrypt the key (empty: none): ";
export const SAME_AGAIN_QUESTION = "The same again: ";
export const passphraseQuestion = (where: string): string => `Passphrase for ${where}: `;
export const NO_FILE = "none, it comes from $DEADDROP_KEY";

// --- one's relays, and those of others

export const NO_RELAYS = wrongUse(
  'no relays to pick up from\n  set yours with "deaddrop relays set wss://…", or give --relay',
);
const SET_AGAIN = 'set yours again with "deaddrop relays set wss://…", or give --relay';
export const savedRelaysDamaged = (file: string): Message =>
  failed(`${file}, which has your relays, is damaged\n  ${SET_AGAIN}`);
export const savedRelaysUnreadable = (why: string): Message =>
  failed(`your relays cannot be read (${why})\n  ${SET_AGAIN}`);
export const relaysNotKept = (why: string): Message =>
  failed(`your relays were not kept, and not published (${why})\n  make room, and set them again`);
export const unknownRelaysAction = (action: string, all: readonly string[]): Message =>
  wrongUse(`relays has no "${action}"; it has ${all.join(", ")}`);
export const NO_RELAYS_TO_SET = wrongUse("which relays? Give one to three URLs");
export const NO_LIST = "no list of the recipient's relays is found";
export const NO_LIST_YET = "nobody who could be asked knows where the recipient receives";
export const NOBODY_COULD_BE_ASKED = "nobody could be asked where the recipient receives";
export const NOBODY_TO_ASK = "no relay is named that could know where the recipient receives";
export const LIST_NAMES_NONE = "the recipient's list of relays names none that is one";
export const notAsked = (url: string, why: string): Message =>
  note(`${url} could not be asked: ${why}`);
export const LIST_NOT_PUBLISHED = failed(
  "nobody published the list, so others cannot find it\n  name relays that do with --discovery",
);
export const recipientUnknown = (why: string): Message =>
  failed(`${why}\n  ask for them and give --relay, or name other relays to look with --discovery`);
export const notAnUrl = (text: string): Message =>
  wrongUse(`"${text}" is no URL; give one such as wss://drop.example.com`);
export const noRelayAnswers = (url: string, why: string): Message =>
  failed(`no relay answers at ${url} (${why}); is it running?`);

// --- sending

export const RETRY_ALONE = wrongUse(
  "--retry goes on with what was sent before, as it was\n  send a new message without it",
);
export const WRITE_YOUR_MESSAGE = "Write your message; Ctrl-D on an empty line sends it.";
export const MESSAGE = "the message";
export const MESSAGE_EMPTY = wrongUse("the message is empty; nothing was sent");
export const messageFarTooLong = (maxBytes: number, fittingBytes: number): Message =>
  wrongUse(
    `the text is more than ${maxBytes.toLocaleString("en")} bytes long, of which less than ${fittingBytes.toLocaleString("en")} fit`,
  );
export const quorumTooLarge = (quorum: number, relays: number): Message =>
  wrongUse(`a quorum of ${quorum} is not to be had from ${counted(relays, "relay")}`);
export const textKept = (file: string, command: string, quotedFile: string): Message =>
  note(`your text is kept in ${file}\n  send it again: ${command} < ${quotedFile}`);
export const textNotKept = (why: string): Message =>
  note(`your text could not be kept (${why}); here it is:`);
export const SENDING_INTERRUPTED: Message = {
  text: "interrupted; the message was not sent",
  exitCode: INTERRUPTED,
};
export const UNSENT_INTERRUPTED: Message = {
  text: 'interrupted; the message is kept, go on with "deaddrop send --retry"',
  exitCode: INTERRUPTED,
};
export const NOTHING_UNSENT = note("nothing is waiting to be sent");
export const messageNotKept = (why: string): Message =>
  failed(`the message cannot be kept, so it was not sent (${why})\n  make room, and send it again`);
export const unsentDamaged = (file: string, aside: Aside): Message =>
  failed(`${file} is damaged, and the message in it is not sent; send it again${keptFor(aside)}`);
export const unsentUnreadable = (why: string): Message =>
  failed(`what waits to be sent cannot be read, and waits on (${why})`);
export const unsentNotRemoved = (file: string, why: string): Message =>
  note(
    `${file} cannot be removed (${why})\n  remove it, or "deaddrop send --retry" sends the message once more`,
  );
export const unsentNotUpdated = (file: string, why: string): Message =>
  note(
    `${file} cannot be brought up to date (${why})\n  "deaddrop send --retry" asks relays again that hold the message already`,
  );
/** Fewer relays than the quorum hold a message. */
export const tooFewHold = (
  {
    holding,
    of,
    quorum,
  }: { readonly holding: number; readonly of: number; readonly quorum: number },
  mayArrive: boolean,
  exitCode: ExitCode,
): Message => {
  const next = mayArrive
    ? '\n  go on with "deaddrop send --retry"'
    : "\n  the others never will: change what they refuse, or give others by --relay";
  return {
    text: `${holding} of ${of} relays hold the message, ${quorum} are wanted${next}`,
    exitCode,
  };
};
export const untilTime = (time: string): string => ` until ${time}`;

// --- picking up and acknowledging

export const GRACE_WITHOUT_ACK = wrongUse(
  "--grace says when acknowledged messages go; give --ack with it",
);
export const NO_IDS = wrongUse("which messages? Give the ids that pickup shows");
export const NOT_AN_ID = wrongUse("an id is 64 hex digits; give the ids that pickup shows");
export const notRead = (url: string, why: string, exitCode: ExitCode): Message => ({
  text: `${url} could not be read: ${why}`,
  exitCode,
});
export const nothingNew = (urls: readonly string[]): Message =>
  note(`no new messages at ${listed(urls)}`);
export const pickupInterrupted = (printed: number, wasToAcknowledge: boolean): Message => {
  const rest = wasToAcknowledge ? ", and nothing was acknowledged" : "";
  return {
    text: `interrupted: not all was read${rest}\n  ${counted(printed, "message")} printed; run it again for all of them`,
    exitCode: INTERRUPTED,
  };
};
export const TELLING_INTERRUPTED: Message = {
  text: "interrupted while the relays were told\n  what they were not told is shown again, or told by a later command",
  exitCode: INTERRUPTED,
};
export const acknowledged = (
  messages: number,
  urls: readonly string[],
  until: string | undefined,
): Message =>
  note(
    `acknowledged ${counted(messages, "message")} at ${listed(urls)}${
      until === undefined ? "" : `\n  your other devices can pick up until ${until}`
    }`,
  );
export const acknowledgementNotKept = (why: string): Message =>
  failed(
    `the acknowledgement cannot be kept, so no relay was told (${why})\n  make room, and acknowledge again`,
  );
export const toldLater = (url: string, why: string, exitCode: ExitCode): Message => ({
  text: `${url} could not be told: ${why}\n  a later command tells it`,
  exitCode,
});
/** An ordinary relay would pass the acknowledgement on to everybody who listens: who received what, and when. */
export const keptThere = (url: string, exitCode: ExitCode): Message => ({
  text: `${url} was not told: it is no dead drop and would tell everybody\n  your messages stay there until it drops them; they are not shown here again`,
  exitCode,
});
export const acknowledgementsWait = (waiting: number): Message =>
  note(
    `${counted(waiting, "acknowledgement")} could not be told to every relay yet\n  a later command goes on`,
  );
export const watching = (urls: readonly string[]): Message =>
  note(`watching ${listed(urls)}; Ctrl-C ends it`);
export const notReachable = (url: string, why: string): Message =>
  note(`${url} cannot be reached: ${why}\n  it is tried again until it is back`);
export const isBack = (url: string): Message => note(`${url} is back`);
export const watchStopped = (printed: number): Message =>
  note(`stopped; ${counted(printed, "message")} printed`);
export const WATCH_ENDED = failed("the watch has ended by itself; start it again");
export const unreadable = (id: string, why: string): Message =>
  note(`message ${id} cannot be opened: ${why}\n  "deaddrop ack ${id}" removes it`);
export const LINE_TOO_LONG = note("a line is too long to be a drop");
export const lineIsNoEvent = (why: string): Message => note(`a line is no event: ${why}`);
export const LINE_WITH_WRONG_ID = note("a line has an id that is not its own");
export const LINE_IS_NO_JSON = note("a line is not JSON");
export const receiptFor = (messages: readonly string[]): string =>
  `receipt for ${messages.join(", ")}`;

export const recordLost = ({ path, why, ...aside }: Aside & Lost): Message =>
  note(
    `${path} cannot be used (${why})\n  an acknowledgement in it may be lost: messages may be printed once more${keptFor(aside)}`,
  );
export const filesRefused = (why: string): Message =>
  failed(`what waits for your relays cannot be read or kept (${why})`);

// --- what relays hold

export const boxNotRead = (url: string, why: string): string => `${url} could not be read: ${why}`;
export const boxEmpty = (url: string): string => `${url} holds nothing for you`;
export const boxHolds = (
  url: string,
  messages: number,
  { oldest, nextExpiry }: { readonly oldest?: string; readonly nextExpiry?: string },
): string => {
  const since = oldest === undefined ? "" : `, the oldest from about ${oldest}`;
  const until = nextExpiry === undefined ? "" : `, the next one goes ${nextExpiry}`;
  return `${url} holds ${counted(messages, "message")}${since}${until}`;
};

// --- a running relay

export const CONFIG_WORDS = wrongUse(
  "config takes no word, or --example env for a file of variables",
);
export const CLOCK_ACTIONS = wrongUse("clock takes confirm");
export const storeNotWritable = (folder: string, why: string): Message =>
  failed(`cannot write to the store in ${folder}: ${why}`);
export const noRelayOnStore = (folder: string): Message =>
  failed(`no relay with its store in ${folder} answers; is it running?`);
export const clockConfirmed = (time: string): string =>
  `It is ${time}; what is past is deleted again.`;
export const storeNotRead = (folder: string, why: string): Message =>
  failed(`cannot read the store in ${folder}: ${why}`);
export const storeDoesNotFit = (
  folder: string,
  count: number,
  findings: readonly string[],
): Message =>
  failed(
    `the store in ${folder} is not whole, in ${count} ${count === 1 ? "place" : "places"}:\n  ${findings.join("\n  ")}`,
  );
export const storeIsWhole = (counts: {
  readonly held: number;
  readonly leaving: number;
  readonly tombstones: number;
}): string =>
  `The store is whole: ${counts.held} held, ${counts.leaving} to be taken off the disk, ${counts.tombstones} tombstones.`;

export const ADMIN_METHODS = wrongUse(
  'admin needs a method such as banpubkey; see "deaddrop help admin"',
);
export const adminTakes = (method: string, usage: string): Message =>
  wrongUse(`give "deaddrop admin ${method}${usage}"`);
export const ADMIN_ONE_RELAY = wrongUse("admin steers one relay at a time; give one --relay");
export const notAPublicKey = (text: string): Message =>
  wrongUse(`"${text}" is no public key; give npub1… or 64 lowercase hex digits`);
export const notDone = (why: string): Message => failed(`the relay has not done it: ${why}`);
export const NOT_MANAGED = failed(
  "this relay cannot be steered so\n  one of ours has to name your key in its configuration: admins",
);
export const storeNotRepaired = (folder: string, why: string): Message =>
  failed(`the store in ${folder} was not repaired: ${why}`);
export const storeRepaired = ({
  found,
  damaged,
  held,
  tombstones,
}: {
  readonly found: number;
  readonly damaged: number;
  readonly held: number;
  readonly tombstones: number;
}): string => {
  const is = `${held} held, ${tombstones} tombstones.`;
  if (found === 0) return `There was nothing to repair: ${is}`;
  const lost =
    damaged === 0 ? "No drop was lost." : `${counted(damaged, "drop")} could not be read.`;
  return `${counted(found, "place")} put right: ${is}\n${lost}`;
};
export const notCompacted = (folder: string, why: string): Message =>
  failed(`the store in ${folder} was not made smaller: ${why}`);
export const compacted = ({
  held,
  tombstones,
  bytesBefore,
  bytes,
}: {
  readonly held: number;
  readonly tombstones: number;
  readonly bytesBefore: number;
  readonly bytes: number;
}): string =>
  `${sizeOf(bytes)} of file, and ${sizeOf(bytesBefore)} before: ${held} held, ${tombstones} tombstones.`;

const sizeOf = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

export const storeStats = ({
  held,
  bytes,
  boxes,
  oldest,
  expiringInADay,
  leaving,
  tombstones,
  fileBytes,
  freeBytes,
  format,
}: {
  readonly held: number;
  readonly bytes: number;
  readonly boxes: number;
  readonly oldest: string | undefined;
  readonly expiringInADay: number;
  readonly leaving: number;
  readonly tombstones: number;
  readonly fileBytes: number;
  readonly freeBytes: number;
  readonly format: string;
}): string =>
  [
    `held              ${held}, of ${sizeOf(bytes)}, in ${boxes} ${boxes === 1 ? "box" : "boxes"}`,
    ...(oldest === undefined ? [] : [`oldest            ${oldest}`]),
    `past within 24 h  ${expiringInADay}`,
    `to be taken off   ${leaving}`,
    `tombstones        ${tombstones}`,
    `file              ${sizeOf(fileBytes)}, of which ${sizeOf(freeBytes)} are free`,
    `format            ${format}`,
  ].join("\n");

export const EXPORT_RESUME = wrongUse("--resume needs the file that broke off");
export const EXPORT_RESUMES_ITS_OWN = wrongUse("--resume takes no --after and no --recipient");
export const EXPORT_RECIPIENT = wrongUse("--recipient takes npub1… or 64 hex digits");
export const exportAfterNumber = (text: string): Message =>
  wrongUse(`--after takes the number that an export ended with, not "${text}"`);
export const exportExists = (file: string): Message =>
  failed(`${file} exists\n  name another file, or go on with one that broke off: --resume`);
export const exportFileNotOpened = (file: string, why: string): Message =>
  failed(`cannot export to ${file}: ${why}`);
export const notExported = (folder: string, why: string, rest: string | undefined): Message =>
  failed(
    rest === undefined
      ? `nothing was exported from the store in ${folder}: ${why}`
      : `the export from ${folder} broke off: ${why}\n  to go on: ${rest}`,
  );
export const exportInterrupted = (rest: string): Message => ({
  text: `interrupted; to go on: ${rest}`,
  exitCode: INTERRUPTED,
});
export const exported = (drops: number, file: string | undefined, last: number): string =>
  `${counted(drops, "drop")} exported${file === undefined ? "" : ` to ${file}`}; what comes later: --after ${last}`;
export const exportProgress = (drops: number, share: number): string =>
  `${drops} exported, ${Math.floor(share * 100)} %`;

export const IMPORT_RESUME = wrongUse("--resume needs the file whose import broke off");
export const importFileNotRead = (file: string, why: string): Message =>
  failed(`cannot read ${file}: ${why}`);
export const importNotResumed = (why: string): Message =>
  failed(
    `nothing to go on with: ${why}\n  without --resume all is imported again, which does no harm`,
  );
const goOn = (rest: string | undefined): string =>
  rest === undefined
    ? "import it again: what is there is known"
    : `to go on: the same with ${rest}`;
export const notImported = (
  folder: string,
  why: string,
  events: number,
  rest: string | undefined,
): Message =>
  failed(
    events === 0
      ? `nothing was imported into ${folder}: ${why}`
      : `the import into ${folder} broke off: ${why}\n  ${goOn(rest)}`,
  );
export const importEnded = (
  why: "interrupted" | "storage full",
  rest: string | undefined,
): Message =>
  why === "interrupted"
    ? { text: `interrupted; ${goOn(rest)}`, exitCode: INTERRUPTED }
    : failed(`the disk has no room for more drops\n  make some, and then ${goOn(rest)}`);
export const imported = (
  counts: {
    readonly stored: number;
    readonly known: number;
    readonly carriedOut: number;
    readonly refused: number;
  },
  reasons: readonly (readonly [reason: string, count: number])[],
): string =>
  [
    `${counts.stored} stored, ${counts.known} known, ${counts.refused} refused.`,
    ...(counts.carriedOut === 0
      ? []
      : [`${counted(counts.carriedOut, "acknowledgement")} carried out.`]),
    ...reasons.map(([reason, count]) => `  ${count}  ${reason}`),
  ].join("\n");
export const importProgress = (events: number, share: number | undefined): string =>
  `${events} read${share === undefined ? "" : `, ${Math.floor(share * 100)} %`}`;

export const BACKUP_NEEDS_FOLDER = wrongUse("backup needs the folder to write into");
export const notBackedUp = (folder: string, why: string): Message =>
  failed(`the store in ${folder} was not backed up: ${why}`);
export const backedUp = ({
  held,
  tombstones,
  at,
  folder,
  secret: where,
}: {
  readonly held: number;
  readonly tombstones: number;
  readonly at: string;
  readonly folder: string;
  readonly secret: "inside" | "elsewhere" | "none";
}): string => {
  const secret = {
    inside: "The store's secret is in it: who has it sees who has mail.",
    elsewhere: "The store's secret is not in it: keep that, or none can read it.",
    none: "It is in clear (an earlier format): who has it sees who has mail.",
  }[where];
  return `${held} held and ${tombstones} tombstones are in ${folder}, as of ${at}.\n${secret}`;
};
export const RESTORE_NEEDS_FOLDER = wrongUse("restore needs the folder of a backup");
export const notRestored = (folder: string, why: string): Message =>
  failed(`the backup in ${folder} was not restored: ${why}`);
export const restored = ({
  held,
  tombstones,
  at,
  data,
  tombstonesOnly,
}: {
  readonly held: number;
  readonly tombstones: number;
  readonly at: string;
  readonly data: string;
  readonly tombstonesOnly: boolean;
}): string =>
  tombstonesOnly
    ? `${tombstones} tombstones of ${at} are in ${data}.\n${held} held then were left out.`
    : `${held} held and ${tombstones} tombstones of ${at} are in ${data}.\nWhat was acknowledged after that is held again (see restore --help).`;

// --- while it works

export const ASKING_RELAYS = "asking the relays";
export const LOOKING_FOR_RELAYS = "looking for the relays";
export const TELLING_RELAYS = "telling the relays";
export const miningProgress = (tried: number): string =>
  `proof of work: ${tried.toLocaleString("en")} tried`;
export const answersProgress = (answered: number, all: number): string =>
  `${answered} of ${all} relays answered`;
export const pickupProgress = (messages: number, done: number, all: number): string =>
  `${counted(messages, "message")}, ${done} of ${all} relays done`;
