// Keys and events, in hex and as NIP-19 writes them; addresses, with a port or a prefix or without.
const NAMES = [
  /\b[0-9a-f]{16,}\b/gi,
  /\b(?:npub|nprofile|nsec|note|nevent)1[0-9a-z]+/gi,
  /\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?/g,
  /(?:[0-9a-f]{0,4}:){2,}[0-9a-f.]*(?:\/\d+)?/gi,
  /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g,
];

/** A text without what names somebody or where they are: a log is kept by others, and for longer than what it tells of. */
export function withoutNames(text: string): string {
  return NAMES.reduce((rest, name) => rest.replace(name, "…"), text);
}
