// How the values of settings are written, in a file and in the environment alike, and what is said of one that is not allowed.

import { z } from "zod";

import { hostOf } from "../nostr/url.ts";
import { publicKeyOf } from "../nostr/public-key.ts";
import { durationSeconds, withUnit } from "./duration.ts";

const UNIT_BYTES: Record<string, number> = {
  "": 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

// Fifteen digits, so that what is written with a unit may be written in bytes as well.
const MOST_BYTES = 1e15;

// A number alone is in the unit that the setting's name says, or else may mean anything: 30 days of retention are no 30 seconds.
export const duration = durationWhere(false);
/** For a setting whose name says seconds. */
export const seconds = durationWhere(true);
export const size = sizeWhere(false);
/** For a setting whose name says bytes. */
export const bytes = sizeWhere(true);

function durationWhere(nameHasUnit: boolean) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    const text = String(value);
    const inSeconds = durationSeconds(nameHasUnit && /^\d+$/.test(text) ? `${text}s` : text);
    if (inSeconds !== undefined) return inSeconds;
    const also = nameHasUnit ? "seconds, or " : "";
    context.addIssue(
      (nameHasUnit ? undefined : withoutUnit(text)) ??
        `a duration: ${also}a number with s, m, h or d, such as 30d`,
    );
    return z.NEVER;
  });
}

function sizeWhere(nameHasUnit: boolean) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    const text = String(value);
    const [, amount, unit = ""] = /^(\d{1,15}) ?(|B|KiB|MiB|GiB)$/.exec(text) ?? [];
    const isClear = unit !== "" || nameHasUnit || Number(amount) === 0;
    const inBytes = Number(amount ?? Number.NaN) * (UNIT_BYTES[unit] ?? 1);
    if (isClear && inBytes < MOST_BYTES) return inBytes;
    const also = nameHasUnit ? "bytes, or " : "";
    context.addIssue(
      (isClear ? undefined : withoutUnit(text, ["MiB", "KiB", "GiB", "B"])) ??
        `a size: ${also}a number with KiB, MiB or GiB, such as 64KiB`,
    );
    return z.NEVER;
  });
}

// As `explain` tells it: a sentence in the place of "is not allowed".
function withoutUnit(text: string, units?: readonly string[]) {
  const write = withUnit(text, units);
  if (write === undefined) return undefined;
  return { code: "custom" as const, params: { sentence: `has no unit: write ${write}` } };
}

export const count = (least: number): z.ZodType<number> =>
  z.union([z.string(), z.number()]).transform((value, context) => {
    const number = /^\d{1,15}$/.test(String(value)) ? Number(value) : -1;
    if (number >= least) return number;
    context.addIssue(`a whole number of at least ${least}`);
    return z.NEVER;
  });

export const yesOrNo = z.union([z.boolean(), z.string()]).transform((value, context) => {
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  context.addIssue("true or false");
  return z.NEVER;
});

export const oneOf = <const Names extends readonly [string, ...string[]]>(
  ...names: Names
): z.ZodType<Names[number]> => z.enum(names, `one of ${names.join(", ")}`);

export type Endpoint = { readonly host: string; readonly port: number };

const ENDPOINT = "an address and a port, such as 127.0.0.1:7777 or [::1]:7777";

export const endpoint = z.string().transform((value, context): Endpoint => {
  const found = endpointIn(value);
  if (found !== undefined) return found;
  context.addIssue(ENDPOINT);
  return z.NEVER;
});

function endpointIn(text: string): Endpoint | undefined {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^:[\]\s]+):(\d{1,5})$/i.exec(text) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535) return undefined;
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** Where to listen, and who connects there: anybody, a proxy that is believed, or the daemon of Tor. */
export type ListenAddress = Endpoint & { readonly from: "anybody" | "proxy" | "tor" };

export const listenAddress = z.string().transform((value, context): ListenAddress => {
  const [, address = "", from = "anybody"] = /^(\S+)(?: +(proxy|tor))?$/.exec(value) ?? [];
  const found = endpointIn(address);
  if (found !== undefined) return { ...found, from: from as ListenAddress["from"] };
  context.addIssue(`${ENDPOINT}, and after a space proxy or tor if that is who connects there`);
  return z.NEVER;
});

export const listOf = <Item extends z.ZodType>(item: Item): z.ZodType<z.output<Item>[]> =>
  z.preprocess(
    (value) =>
      typeof value === "string"
        ? value
            .split(",")
            .map((part) => part.trim())
            .filter(Boolean)
        : value,
    z.array(item, "a list"),
  ) as never;

export const WS_URL = "a ws:// or wss:// URL without a password, its host in ASCII (xn--…)";

export const wsUrl = z
  .string()
  .refine((url) => /^wss?:/i.test(url) && hostOf(url) !== undefined, WS_URL);

export const key = z.string().transform((value, context) => {
  const found = publicKeyOf(value);
  if (found !== undefined) return found;
  context.addIssue("a public key: npub1… or 64 lowercase hex digits");
  return z.NEVER;
});

/** Host and port in one string, as `metrics` takes it. */
export function join({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The same with who connects there, as `listen` takes it. */
export function joinListen(address: ListenAddress): string {
  return address.from === "anybody" ? join(address) : `${join(address)} ${address.from}`;
}

/** The URL by which a client on this machine finds a relay with these addresses. Where Tor connects nobody else is answered. */
export function directUrl(addresses: readonly ListenAddress[]): string {
  const direct = addresses.find(({ from }) => from !== "tor") ?? addresses[0];
  return direct === undefined ? "" : `ws://${join(direct)}`;
}
