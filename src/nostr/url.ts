/** What a URL of a relay, or of something behind its HTTP door, names. */
export type ReadUrl = {
  /** The name in lowercase without a root dot, and the port unless it is the scheme's own. */
  readonly host: string;
  /** What follows the host, as it is written: path, query, fragment. May be empty. */
  readonly target: string;
};

const SCHEMES = /^(?:(?:ws|http)(s?):\/\/)?/i;
// RFC 3986's authority without what parsers read differently: no userinfo, no percent escapes, no port that is empty.
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::(\d{1,5}))?(?=[/?#]|$)/i;
const MAX_PORT = 65_535;
// `https:443` is the host `https` to who takes hosts alone, and 0.0.1.187 to the URL Standard.
const SCHEME_ALONE = /^(?:wss?|https?|ftp|file):/i;

/**
 * Reads a ws, wss, http or https URL, or one without a scheme, in the one way in which every parser would read it; undefined where two could differ on the
 * host. So what an event names here is what its signer's client was connected to: no userinfo, no backslash, white space or control character, letters and
 * digits of ASCII alone (names in other scripts come as xn--…), and no number that the URL Standard would rewrite to an IPv4 address, such as 0x7f.1.
 */
export function readUrl(text: string): ReadUrl | undefined {
  if (/[\s\\\p{Cc}]/u.test(text)) return undefined;
  const [scheme = "", secure] = SCHEMES.exec(text) ?? [];
  if (scheme === "" && SCHEME_ALONE.test(text)) return undefined;
  const rest = text.slice(scheme.length);
  const [authority, written, port] = AUTHORITY.exec(rest) ?? [];
  if (authority === undefined || written === undefined) return undefined;
  const name = nameOf(written.replace(/\.$/, ""));
  if (name === undefined || Number(port ?? 0) > MAX_PORT) return undefined;
  const own = scheme === "" ? undefined : secure === "" ? 80 : 443;
  const isOwn = port === undefined || Number(port) === own;
  return { host: isOwn ? name : `${name}:${Number(port)}`, target: rest.slice(authority.length) };
}

/** The host in a URL, as `readUrl` reads it. NIP-42 lets a relay compare domain names alone; scheme and path are left out because a proxy changes them. */
export function hostOf(text: string): string | undefined {
  return readUrl(text)?.host;
}

// An IPv6 address in its shortest form; any other name as it is, unless the URL Standard makes another one of it, or none.
function nameOf(written: string): string | undefined {
  const url = `http://${written}`;
  if (!URL.canParse(url)) return undefined;
  const { hostname } = new URL(url);
  return written.startsWith("[") || hostname === written.toLowerCase() ? hostname : undefined;
}
