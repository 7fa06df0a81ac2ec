// A client's message (NIP-01, NIP-42, NIP-45, NIP-77).

import { glimpse, isEventMessage, parseMessage } from "../../../../src/nostr/message.ts";
import { LIMITS, MESSAGES } from "../differences.ts";
import { isFilter, isSubscriptionId } from "../nip01.ts";
import { must, mustAgree, type Target } from "../target.ts";
import { plain, wireFilter } from "../written.ts";

const HEX = "ab".repeat(32);
const WORDS = [
  ...["EVENT", "AUTH", "REQ", "COUNT", "CLOSE", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE"].map(
    (verb) => `["${verb}",`,
  ),
  `"${HEX}"`,
  "\\u0045",
  "\\ud800",
  "{}",
  ",",
  "]",
  '"',
  "\\",
  " ",
  '"kinds":[1059]',
];

const REASON =
  /^(?:invalid|blocked|pow|rate-limited|restricted|duplicate|error|auth-required|closed|unsupported): ./su;

export const target: Target = {
  seeds: [
    '["EVENT",{}]',
    ' \n[ "EVENT" , {]',
    String.raw`["\u0045VENT",{}]`,
    '["AUTH",{"kind":22242}]',
    `["REQ","inbox",{"kinds":[1059],"#p":["${HEX}"]},{"limit":0}]`,
    `["REQ","\\ud83d\\ude00",{"ids":["${HEX}"],"authors":["${HEX}"],"since":1,"until":2}]`,
    '["COUNT","x",{"#t":["","a"],"#e":[]}]',
    '["NEG-OPEN","x",{},"6100000200"]',
    '["NEG-MSG","x","61"]',
    '["CLOSE","x"]',
    '["NEG-CLOSE","x"]',
    '["REQ","x",{}',
    ' [ "COUNT" , "in\\"box" , {"ids":[NaN]}]',
    '["REQ"]',
    "[]",
    "",
  ],
  words: WORDS,
  isJson: true,
  maxChars: 16_384,
  steps: { fixed: 1_000, perChar: 2 },
  check(text) {
    const message = parseMessage(text, LIMITS);
    const seen = glimpse(text);
    const json = parsed(text);
    must(
      !isEventMessage(text) || json === undefined || isVerb(json, "EVENT"),
      "it takes for an EVENT what is none",
    );
    if (json !== undefined && !isEventMessage(text)) {
      mustAgree(
        { ours: !("reason" in message), theirs: isMessage(json), value: json },
        MESSAGES,
        "NIP-01",
      );
    }
    if ("reason" in message) {
      must(REASON.test(message.reason), "a reason without a prefix");
      must(message.reason.length < 256, "a reason that quotes too much");
      return;
    }
    if (message.verb === "EVENT") return;
    must(json !== undefined && isVerb(json, message.verb), "a message of another verb");
    if (seen.verb !== undefined) must(seen.verb === message.verb, "a glimpse of another verb");
    if (seen.subscription !== undefined && "subscription" in message) {
      must(seen.subscription === message.subscription, "a glimpse of another subscription");
    }
    const again = parseMessage(written(message), LIMITS);
    must(plain(again) === plain(message), "written and read again it is another message");
  },
};

type Read = Exclude<ReturnType<typeof parseMessage>, { reason: unknown }>;

function written(message: Read): string {
  switch (message.verb) {
    case "EVENT":
      return '["EVENT",{}]';
    case "AUTH":
      return JSON.stringify(message.event === undefined ? ["AUTH"] : ["AUTH", message.event]);
    case "REQ":
    case "COUNT":
      return JSON.stringify([
        message.verb,
        message.subscription,
        ...message.filters.map(wireFilter),
      ]);
    case "NEG-OPEN":
      return JSON.stringify([
        "NEG-OPEN",
        message.subscription,
        wireFilter(message.filter),
        message.hex,
      ]);
    case "NEG-MSG":
      return JSON.stringify(["NEG-MSG", message.subscription, message.hex]);
    case "CLOSE":
    case "NEG-CLOSE":
      return JSON.stringify([message.verb, message.subscription]);
  }
}

/** Whether the NIPs have such a message. What an EVENT or AUTH carries is looked at later. */
function isMessage(json: unknown): boolean {
  if (!Array.isArray(json)) return false;
  const [verb, id, ...rest] = json as unknown[];
  switch (verb) {
    case "EVENT":
    case "AUTH":
      return true;
    case "REQ":
    case "COUNT":
      return isSubscriptionId(id) && rest.length > 0 && rest.every(isFilter);
    case "NEG-OPEN":
      return isSubscriptionId(id) && isFilter(rest[0]) && isHexBytes(rest[1]);
    case "NEG-MSG":
      return isSubscriptionId(id) && isHexBytes(rest[0]);
    case "CLOSE":
    case "NEG-CLOSE":
      return isSubscriptionId(id);
    default:
      return false;
  }
}

function isHexBytes(value: unknown): boolean {
  return (
    typeof value === "string" && Buffer.from(value, "hex").toString("hex") === value.toLowerCase()
  );
}

function isVerb(json: unknown, verb: string): boolean {
  return Array.isArray(json) && json[0] === verb;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
