// Writes a store of format 2, in which everything stood as it is, anew as one of today's, and zeros over the old file.
//
// It had today's tables, with recipients, owners and authors (32 bytes) and half of the ids in clear, drops as their JSON, and in `authors` the key in `boxes`.
// The new file is made beside the old one and takes its name when all that was readable in the old one was read in it. A crash before that leaves the old one as
// it was; one after it leaves the old one under another name, and the next start writes it over. The old one is not kept: recipients, authors and ids stand in it in
// clear, also those of what was picked up long ago. Who wants to be able to go back makes a backup before (backup.ts).

import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { expiryOf, recipientOf, type RetentionRule } from "../nostr/drop.ts";
import { DropKeyMaker, openDropKeys } from "./drop-keys.ts";
import { FORMAT, FORMAT_BEFORE } from "./history.ts";
import { authorValue, expiryKey, expiryValue } from "./layout.ts";
import { FOLDER_MODE, KEY_FOLDER } from "./privacy.ts";
import { replaceStore } from "./replace.ts";
import { decodeRule } from "./retention.ts";
import { readSecret, secretsFrom, type StoreSecrets } from "./secret.ts";
import { writeEntry } from "./settling.ts";
import { ID_PREFIX_DIGITS } from "./store.ts";
import {
  damagedMeta,
  type Damaged,
  type Databases,
  entries,
  eventIn,
  mustRead,
  openDatabases,
  type Opened,
  type Tables,
} from "./tables.ts";
import { unlocked } from "./unlocked.ts";

const NEW_FOLDER = "converted";
const AT_ONCE = 2_000;

const KEY_BYTES = 32;
const TIME_BYTES = 5;
const ID_BYTES = 16;
const EXPIRY_AT = 10;

/** Whether it is a store that must be converted before it is used. */
export function isOfBefore({ meta }: Pick<Databases, "meta">): boolean {
  return meta.get("format") === FORMAT_BEFORE;
}

/**
 * Puts a store of today in the place of the one in `folder`, whose file this is, under the secret that `source` names, and closes it. Throws, with what to do, when
 * that cannot be done; the store is as it was then.
 */
export async function convertStore(
  folder: string,
  { root, databases }: Opened,
  source: string,
  damaged: Damaged,
): Promise<void> {
  const secrets = secretsFrom(readSecret(source, folder, true));
  await convert(folder, databases, secrets, damaged);
  await root.close();
  takeOver(folder);
}

async function convert(
  folder: string,
  before: Databases,
  secrets: StoreSecrets,
  damaged: Damaged,
): Promise<void> {
  const target = join(folder, NEW_FOLDER);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { mode: FOLDER_MODE });
  const { root, databases } = openDatabases(target, false);
  const [first = 1] = before.drops.getKeys({ limit: 1 });
  const dropKeys = new DropKeyMaker(target, first - 1, databases);
  const tables = unlocked(databases, secrets, dropKeys);
  try {
    const rule = ruleOf(before);
    for (let start = first; ;) {
      const page = [...before.drops.getRange({ start, limit: AT_ONCE })];
      root.transactionSync(() => {
        for (const { key: seq, value } of page) {
          if (!dropKeys.isReady(seq)) throw new Error("no room for the keys of drops");
          takeDrop({ before, after: tables, rule, damaged }, seq, value.toString());
        }
      });
      const last = page.at(-1);
      if (last === undefined) break;
      start = last.key + 1;
      await dropKeys.look();
    }
    root.transactionSync(() => {
      takeRest(before, tables);
      databases.meta.putSync("secret", secrets.check);
      databases.meta.putSync("format", FORMAT);
    });
    mustHoldTheSame(before, target, databases, secrets);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      `${folder} holds a store of an earlier format, and could not be converted (${message}); that takes as much room on the disk as the store has already; nothing was changed`,
      { cause: error },
    );
  } finally {
    dropKeys.close();
    await root.close();
  }
}

type Conversion = {
  readonly before: Databases;
  readonly after: Tables;
  readonly rule: RetentionRule;
  readonly damaged: Damaged;
};

function takeDrop({ before, after, rule, damaged }: Conversion, seq: number, json: string): void {
  if (before.discarded.doesExist(seq)) return;
  const event = eventIn(json);
  const recipient = recipientIn(json);
  if (event === undefined || recipient === undefined) {
    damaged({ table: "drops", seq });
    return;
  }
  const { id, created_at, kind, pubkey } = event;
  const bytes = Buffer.byteLength(json);
  // One that was not settled has the expiry of its own, and the next start settles it.
  const entry = before.boxes.get(boxKeyBefore(recipient, created_at, id));
  const own = expiryOf(event, rule);
  const expiry = entry?.readUIntBE(EXPIRY_AT, TIME_BYTES) ?? (typeof own === "number" ? own : 0);
  after.drops.put(seq, json, bytes);
  after.expiries.putSync(expiryKey(expiry, seq), expiryValue(expiry));
  if (entry !== undefined) {
    const idPrefix = id.slice(0, ID_PREFIX_DIGITS);
    writeEntry(after, { seq, recipient, idPrefix, created_at, kind, expiry, bytes });
  }
  if (before.authors.doesExist(ownedKeyBefore(pubkey, id))) {
    after.authors.putSync(after.keys.owned(pubkey, id), authorValue(seq));
  }
}

// What is read is what is on the disk.
function mustHoldTheSame(
  before: Databases,
  target: string,
  databases: Databases,
  secrets: StoreSecrets,
): void {
  const keys = openDropKeys(target);
  try {
    const { drops, tombstones } = unlocked(databases, secrets, keys);
    mustRead(databases);
    for (const { key: seq, value } of before.drops.getRange()) {
      const json = value.toString();
      if (before.discarded.doesExist(seq) || recipientIn(json) === undefined) continue;
      if (drops.get(seq) !== json) throw new Error(`drop ${seq} is not what it was`);
    }
    if (entries(tombstones) !== entries(before.tombstones)) {
      throw new Error("a tombstone is missing");
    }
  } finally {
    keys.close();
  }
}

function recipientIn(json: string): string | undefined {
  const event = eventIn(json);
  const recipient = event && recipientOf(event);
  return typeof recipient === "string" ? recipient : undefined;
}

// Tombstones, their counts, and what is remembered of earlier runs.
function takeRest(before: Databases, after: Tables): void {
  for (const { key, value } of before.tombstones.getRange()) {
    const owner = key.toString("hex", 0, KEY_BYTES);
    after.tombstones.putSync(after.keys.owned(owner, key.toString("hex", KEY_BYTES)), value);
  }
  for (const { key, value } of before.early.getRange()) {
    const isOfAll = key.length < KEY_BYTES;
    after.early.putSync(isOfAll ? key : after.keys.owner(key.toString("hex")), value);
  }
  for (const { key, value } of before.meta.getRange()) {
    if (key !== "format") after.meta.putSync(key, value);
  }
}

// Puts the converted store in the place of the one before.
function takeOver(folder: string): void {
  const target = join(folder, NEW_FOLDER);
  // Of no use to the store before: left of a conversion that came to nothing.
  rmSync(join(folder, KEY_FOLDER), { recursive: true, force: true });
  renameSync(join(target, KEY_FOLDER), join(folder, KEY_FOLDER));
  replaceStore(folder, target);
}

function ruleOf({ meta }: Databases): RetentionRule {
  const rule = decodeRule(meta.get("retention") ?? "");
  if (rule === "malformed") throw damagedMeta("retention");
  return rule;
}

function boxKeyBefore(recipient: string, created_at: number, id: string): Buffer {
  const key = Buffer.alloc(KEY_BYTES + TIME_BYTES + ID_BYTES);
  key.write(recipient, 0, KEY_BYTES, "hex");
  key.writeUIntBE(2 ** (8 * TIME_BYTES) - 1 - created_at, KEY_BYTES, TIME_BYTES);
  key.write(id, KEY_BYTES + TIME_BYTES, ID_BYTES, "hex");
  return key;
}

function ownedKeyBefore(owner: string, id: string): Buffer {
  return Buffer.concat([Buffer.from(owner, "hex"), Buffer.from(id.slice(0, 32), "hex")]);
}
