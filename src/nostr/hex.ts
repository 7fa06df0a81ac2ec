const HEX_64 = /^[0-9a-f]{64}$/;
const HEX_128 = /^[0-9a-f]{128}$/;

/** A 32-byte value as NIP-01 writes ids and keys: 64 lowercase hex digits, nothing else. */
export function isHex32(value: unknown): value is string {
  return typeof value === "string" && HEX_64.test(value);
}

/** A 64-byte value as NIP-01 writes signatures: 128 lowercase hex digits. */
export function isHex64(value: unknown): value is string {
  return typeof value === "string" && HEX_128.test(value);
}
