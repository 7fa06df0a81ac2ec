// Many people's clients, in a process of its own: each keeps a connection on which its owner's box is open, and opens it again whenever it breaks.
//
//   node crowd.ts '{"url": …, "count": …, "people": […], "addresses": […]}'
//
// Tells its parent, whenever that changed and at most twenty times a second, how many listen, how often one was opened, and how many drops came.

import { setTimeout as after } from "node:timers/promises";

import { Phone } from "./phone.ts";

export type CrowdSettings = {
  readonly url: string;
  readonly count: number;
  /** Secret keys in hex; the connections are theirs in turn. */
  readonly people: readonly string[];
  /** Of this machine, from which they connect in turn. */
  readonly addresses: readonly string[];
};

export type CrowdState = {
  readonly listening: number;
  readonly opened: number;
  readonly refused: number;
  readonly drops: number;
};

// So many handshakes of a process are under way at once: a crowd is many machines, and this one must not be what is measured.
const AT_ONCE = 200;
const TELL_MS = 50;
const RETRY_MS = 250;

const settings = JSON.parse(process.argv[2] ?? "{}") as CrowdSettings;
let state: CrowdState = { listening: 0, opened: 0, refused: 0, drops: 0 };
let told = state;
let opening = 0;
const waiting: (() => void)[] = [];

function changed(by: Partial<CrowdState>): void {
  const sums = Object.entries(by).map(([what, more]) => [
    what,
    state[what as keyof CrowdState] + more,
  ]);
  state = { ...state, ...(Object.fromEntries(sums) as Partial<CrowdState>) };
}

const now = (): number => Math.floor(Date.now() / 1_000);
const onDrop = (): void => changed({ drops: 1 });

async function mayOpen(): Promise<void> {
  if (opening >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  opening += 1;
}

function hasOpened(): void {
  opening -= 1;
  waiting.shift()?.();
}

async function keepsListening(index: number): Promise<never> {
  const { url, people, addresses } = settings;
  const secret = Buffer.from(people[index % people.length] ?? "", "hex");
  const localAddress = addresses[index % addresses.length] ?? "127.0.0.1";
  for (;;) {
    await mayOpen();
    const phone = await listening(secret, { url, localAddress });
    hasOpened();
    if (phone === undefined) {
      changed({ refused: 1 });
      await after(RETRY_MS);
      continue;
    }
    changed({ listening: 1, opened: 1 });
    await phone.closed;
    changed({ listening: -1 });
  }
}

async function listening(
  secret: Uint8Array,
  where: { url: string; localAddress: string },
): Promise<Phone | undefined> {
  const phone = await Phone.connect({ ...where, now, onDrop }).catch(() => undefined);
  const [verb] = (await phone?.listen({ secret, key: "" })) ?? [];
  if (verb === "EOSE") return phone;
  await phone?.vanish();
  return undefined;
}

setInterval(() => {
  if (told === state) return;
  told = state;
  process.send?.(state);
}, TELL_MS);
// Its parent is gone.
process.on("disconnect", () => process.exit());
for (let index = 0; index < settings.count; index += 1) void keepsListening(index);
