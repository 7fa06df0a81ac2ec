import { hostOf, readUrl } from "./url.ts";

/** One of the URLs under which a relay is known. */
export type OwnUrl = {
  readonly host: string;
  /** Below which it answers, whether or not a proxy in front takes it off: no slash at its end, and empty for none. */
  readonly path: string;
};

// A refusal is one line; the operator of a relay with more names has the rest.
const MAX_NAMES = 4;

/** Undefined for what is no such URL. Its query and its fragment are left out. */
export function ownUrl(text: string): OwnUrl | undefined {
  const url = readUrl(text);
  if (url === undefined) return undefined;
  // As clients write it on the wire: percent-encoded, without dot segments.
  const { pathname } = new URL(`http://relay${url.target}`);
  return { host: url.host, path: pathname.replace(/\/+$/, "") };
}

/** Those of the URLs that name an onion service of Tor (RFC 7686). */
export function onionUrls(urls: readonly string[]): string[] {
  return urls.filter((url) => /\.onion(:\d+)?$/.test(hostOf(url) ?? ""));
}

/** Whether a URL has the host of one of them. */
export function namesOneOf(urls: readonly OwnUrl[], text: string): boolean {
  const named = hostOf(text);
  return urls.some(({ host }) => host === named);
}

/** What a refusal of another relay's name ends with, so that a person sees what is wrong: the first few hosts. */
export function knownAs(urls: readonly OwnUrl[]): string {
  const names = [...new Set(urls.map(({ host }) => host))];
  if (names.length === 0) return "";
  const shown = names.length > MAX_NAMES ? [...names.slice(0, MAX_NAMES), "…"] : names;
  return `, this one is known as ${shown.join(", ")}`;
}
