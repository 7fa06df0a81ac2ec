// Which hosts are within somebody's own network, and no business of a stranger's who names them as relays: to connect to them would open the network of
// whoever sends to whoever receives (server-side request forgery).

// IANA's registry of special-purpose addresses, those that are not globally reachable, and multicast.
const PRIVATE_IPV4: readonly (readonly [network: string, bits: number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];

// RFC 6761, 6762 (with appendix G), 8375 and ICANN's `internal`: names that no public resolver knows and a private one may.
const PRIVATE_DOMAINS =
  /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|private|corp|home|lan|test|home\.arpa)$/;

/** Whether a URL's host, as the WHATWG parser spells it, or a plain IP address belongs to a private network: by itself, for what a name resolves to is not known here. */
export function isPrivateHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (bare.includes(":")) return isPrivateIpv6(bare);
  if (/^[\d.]+$/.test(bare)) return isPrivateIpv4(numbersIn(bare));
  const name = bare.replace(/\.$/, "");
  return !name.includes(".") || PRIVATE_DOMAINS.test(name);
}

function isPrivateIpv4(bytes: readonly number[]): boolean {
  const address = numberOf(bytes);
  return PRIVATE_IPV4.some(
    ([network, bits]) => address >>> (32 - bits) === numberOf(numbersIn(network)) >>> (32 - bits),
  );
}

function numbersIn(address: string): number[] {
  return address.split(".").map(Number);
}

function numberOf([a = 0, b = 0, c = 0, d = 0]: readonly number[]): number {
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

// Of IPv6 only 2000::/3 is given out, so what is not known to be public is private.
function isPrivateIpv6(address: string): boolean {
  const groups = groupsOf(address);
  const [a = 0, b = 0, c = 0] = groups;
  const [g = 0, h = 0] = groups.slice(6);
  const last = [g >> 8, g & 0xff, h >> 8, h & 0xff];
  const front = groups.slice(0, 6).join(":");
  // IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and 6to4 (2002::/16) lead to the IPv4 address inside.
  if (front === "0:0:0:0:0:65535" || front === "100:65435:0:0:0:0") return isPrivateIpv4(last);
  if (a === 0x2002) return isPrivateIpv4([b >> 8, b & 0xff, c >> 8, c & 0xff]);
  const isGivenOut = a >> 13 === 1;
  const isOfProtocols = a === 0x2001 && b < 0x200;
  const isForExamples = (a === 0x2001 && b === 0xdb8) || (a === 0x3fff && b >> 12 === 0);
  return !isGivenOut || isOfProtocols || isForExamples;
}

// The eight groups, however it is spelled: the parser knows one spelling for each address. A zone (fe80::1%eth0) is none of it.
function groupsOf(address: string): number[] {
  const { hostname } = new URL(`ws://[${address.replace(/%.*$/, "")}]`);
  const [front = "", back = ""] = hostname.slice(1, -1).split("::");
  const [before, after] = [front, back].map((part) => part.split(":").filter(Boolean)) as [
    string[],
    string[],
  ];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

const BLOCKED = "blocked: ";

/** Why a host is not connected to, as a reason: what it is that stands against it. */
export function refusal(host: string, what: string): string {
  return `${BLOCKED}${host} ${what}`;
}

/** The same of a host within a private network, when somebody else names it. */
export function refusalOfPrivate(host: string): string {
  return refusal(
    host,
    "is within a private network, where others cannot send you; if you mean it, name the relay yourself",
  );
}

/** Whether that, or the like of it, is the reason. */
export function isBlocked(reason: string): boolean {
  return reason.startsWith(BLOCKED);
}
