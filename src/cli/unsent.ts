// Messages that have not reached their quorum, kept as they are: to send a text once more would make a second message of it.

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Delivery } from "../client/client.ts";
import { codeOf, removeLeftovers, replaceFile } from "../client/durable-file.ts";
import { asFailureOf, saidBySystem } from "./failure.ts";
import {
  messageNotKept,
  unsentNotRemoved,
  unsentNotUpdated,
  unsentUnreadable,
} from "./messages.ts";
import type { Profile } from "./profile.ts";

const ENDING = ".json";

/** Keeps a delivery in a file of its own, before any relay has it. On disk when it resolves; rejects with a CliError, for then nothing is to be sent. */
export async function keepUnsent(profile: Profile, delivery: Delivery): Promise<void> {
  try {
    await write(profile, delivery);
  } catch (error) {
    throw asFailureOf(error, messageNotKept);
  }
}

/**
 * Keeps what may still arrive, and removes the rest: what arrived needs no retry, and what cannot arrive has none. What the relays said stands, whatever the disk
 * does: what it does not do is told.
 */
export async function settleUnsent(profile: Profile, delivery: Delivery): Promise<void> {
  const file = fileOf(profile, delivery);
  const isOver = delivery.isDelivered || !delivery.mayArrive;
  try {
    if (isOver) await rm(file, { force: true });
    else await write(profile, delivery);
  } catch (error) {
    const why = saidBySystem(error);
    if (why === undefined) throw error;
    profile.notice(isOver ? unsentNotRemoved(file, why) : unsentNotUpdated(file, why));
  }
}

/** The files of this profile's deliveries, in the order of their names. None where nothing was kept. */
export async function unsentFiles(profile: Profile): Promise<string[]> {
  const folder = unsentFolder(profile);
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (codeOf(error) === "ENOENT") return [];
    throw asFailureOf(error, unsentUnreadable);
  });
  return names
    .filter((name) => name.endsWith(ENDING))
    .sort()
    .map((name) => join(folder, name));
}

async function write(profile: Profile, delivery: Delivery): Promise<void> {
  await removeLeftovers(unsentFolder(profile));
  await replaceFile(fileOf(profile, delivery), JSON.stringify(delivery.save()));
}

function fileOf(profile: Profile, { message }: Delivery): string {
  return join(unsentFolder(profile), `${message}${ENDING}`);
}

function unsentFolder({ folder }: Profile): string {
  return join(folder, "unsent");
}
