/** A relay's URL in the one spelling by which two of them can be compared. Throws a TypeError that names it when it is no ws:// or wss:// URL. */
export function relayUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^wss?:$/.test(url.protocol)) {
    throw new TypeError(`"${text}" is no relay; give a URL such as wss://drop.example.com`);
  }
  url.hash = "";
  return url.href;
}

/** The same of many, each once. */
export function relayUrls(texts: Iterable<string>): string[] {
  return [...new Set(Array.from(texts, relayUrl))];
}

/** Whether it is a relay's URL, however it is spelled. */
export function isRelayUrl(value: unknown): value is string {
  try {
    return typeof value === "string" && relayUrl(value) !== "";
  } catch {
    return false;
  }
}

/** A relay's URL as an event may name it: without a user name and a password, which are between client and proxy. */
export function withoutPassword(text: string): string {
  const url = new URL(text);
  url.username = url.password = "";
  return url.href;
}
