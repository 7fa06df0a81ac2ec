import { isHex32 } from "../nostr/hex.ts";
import {
  isManagementMethod,
  MANAGEMENT_METHODS,
  type ManagementMethod,
  type Parameter,
} from "../nostr/management.ts";
import { networkOf } from "../policy/networks.ts";

/** A request that can be understood: what it asks, and whom or what it is about, in the one spelling that is kept. */
export type Call = {
  readonly method: ManagementMethod;
  /** The key, the network or the text; empty where the method takes none. */
  readonly subject: string;
  readonly reason: string;
};

// A reason is kept with its decision and written to the log.
const MAX_REASON_CHARS = 500;
// Of a name or a description, which everybody who asks for NIP-11 is sent.
const MAX_TEXT_CHARS = 5_000;

/** Takes what JSON.parse made of the body of a request, and answers what it asks for, or in a sentence why it asks for nothing. */
export function parseCall(value: unknown): Call | string {
  const { method, params = [] } = Object(value) as Readonly<Record<string, unknown>>;
  if (typeof method !== "string" || !Array.isArray(params)) {
    return 'a request is {"method": "…", "params": […]}';
  }
  if (!isManagementMethod(method)) return "there is no such method; see supportedmethods";
  const wanted: readonly Parameter[] = MANAGEMENT_METHODS[method];
  if (params.length > wanted.length) {
    return `${method} takes ${wanted.length} parameters at most`;
  }
  let subject = "";
  let reason = "";
  for (const [index, what] of wanted.entries()) {
    const given: unknown = params[index];
    if (what === "reason") {
      const text = given ?? "";
      if (!isText(text, MAX_REASON_CHARS)) {
        return `the reason is a text of ${MAX_REASON_CHARS} characters at most`;
      }
      reason = text;
      continue;
    }
    const read = READERS[what](given);
    if (read === undefined) return WANTED[what];
    subject = read;
  }
  if (method === "changerelayicon" && subject !== "" && !/^https?:\/\/[^\s]+$/i.test(subject)) {
    return "the icon is an http:// or https:// URL, or empty";
  }
  return { method, subject, reason };
}

const READERS: Readonly<
  Record<Exclude<Parameter, "reason">, (given: unknown) => string | undefined>
> = {
  pubkey: (given) => (typeof given === "string" && isHex32(given) ? given : undefined),
  ip: (given) => (typeof given === "string" ? networkOf(given) : undefined),
  text: (given) => (isText(given, MAX_TEXT_CHARS) ? given : undefined),
};

const WANTED: Readonly<Record<Exclude<Parameter, "reason">, string>> = {
  pubkey: "the first parameter is a public key: 64 lowercase hex digits",
  ip: "the first parameter is an address or a network, such as 10.0.0.0/8",
  text: `the first parameter is a text of ${MAX_TEXT_CHARS} characters at most`,
};

// A lone surrogate has no UTF-8 form.
function isText(given: unknown, maxChars: number): given is string {
  return typeof given === "string" && given.length <= maxChars && given.isWellFormed();
}
