// A store of format 2, as an earlier version of this relay wrote it: format-2.mdb.gz.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import { writeEvent } from "../../src/nostr/event.ts";
import { type AtEnd, temporaryFolder } from "../support/relay.ts";
import { BOB, DAY, hex, NOW } from "./contract.ts";

export const [ALICE, CAROL] = [hex("alice"), hex("carol")];
export const BEFORE = gunzipSync(readFileSync(new URL("format-2.mdb.gz", import.meta.url)));

/** What stands in the file, and what became of it before it was closed. */
export const DROPS = {
  held: drop(0, BOB),
  acknowledged: drop(1, BOB),
  inItsGrace: drop(2, BOB),
  ofAlice: drop(3, BOB, 4, ALICE),
  toAlice: drop(4, ALICE),
  ofBob: drop(5, ALICE, 4, BOB),
  alsoHeld: drop(6, BOB),
  vanished: drop(7, CAROL),
  third: drop(8, BOB),
  unsettled: drop(9, BOB, 4, ALICE),
  toCarol: drop(10, CAROL),
};

function drop(number: number, recipient: string, kind = 1059, author = hex(`author ${number}`)) {
  const id = hex(`drop of format 2, ${number}`);
  const created_at = NOW - number;
  const tags = [["p", recipient]];
  const content = `ciphertext ${number}`;
  const sig = "0".repeat(128);
  const { json } = writeEvent({ id, pubkey: author, created_at, kind, tags, content, sig });
  return { id, recipient, author, created_at, kind, expiry: created_at + 32 * DAY, json };
}

/** A folder with that store. */
export function before(atEnd?: AtEnd): string {
  const folder = temporaryFolder(atEnd);
  writeFileSync(join(folder, "data.mdb"), BEFORE);
  return folder;
}
