// Messages that have not reached their quorum, kept as they are: to send a text once more would make a second message of it.

import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Delivery } from "../client/client.ts";
import type { Profile } from "./profile.ts";

const ENDING = ".json";

/** Keeps a delivery in a file of its own, put into place whole. */
export async function keepUnsent(profile: Profile, delivery: Delivery): Promise<void> {
  await mkdir(folderOf(profile), { recursive: true, mode: 0o700 });
  const file = fileOf(profile, delivery);
  await writeFile(`${file}.part`, JSON.stringify(delivery.save()), { mode: 0o600 });
  await rename(`${file}.part`, file);
}

/** Keeps what may still arrive, and removes the rest: what arrived needs no retry, and what cannot arrive has none. */
export async function settleUnsent(profile: Profile, delivery: Delivery): Promise<void> {
  if (!delivery.isDelivered && delivery.mayArrive) await keepUnsent(profile, delivery);
  else await rm(fileOf(profile, delivery), { force: true });
}

/** The files of this profile's deliveries, in the order of their names. None where nothing was kept. */
export async function unsentFiles(profile: Profile): Promise<string[]> {
  const folder = folderOf(profile);
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.endsWith(ENDING))
    .sort()
    .map((name) => join(folder, name));
}

function fileOf(profile: Profile, { message }: Delivery): string {
  return join(folderOf(profile), `${message}${ENDING}`);
}

function folderOf({ folder }: Profile): string {
  return join(folder, "unsent");
}
