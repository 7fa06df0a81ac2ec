import type { Check } from "../check.ts";
import { documentIn, formerRetentionsIn, objectIn } from "../information.ts";
import { must } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";

const DOCUMENT =
  "When a relay receives an HTTP(s) request with an `Accept` header of `application/nostr+json` to a URI supporting WebSocket upgrades, they SHOULD return a document with the following structure.";

/** What the fields of `dead_drop` are in NIP-DD. */
const DEAD_DROP_NUMBERS = [
  "retention",
  "max_drops",
  "max_bytes",
  "max_acknowledgement_ids",
  "max_early_acknowledgements",
  "max_auth_keys",
];

export const informationChecks: readonly Check[] = [
  nipCheck({
    id: "information/document",
    nip: "11",
    sentence: DOCUMENT,
    title: "serves a JSON document on the URL of its WebSocket",
    async run(context) {
      documentIn(await context.askInformation());
    },
  }),
  nipCheck({
    id: "information/cors",
    nip: "11",
    sentence:
      "Relays MUST accept CORS requests by sending `Access-Control-Allow-Origin`, `Access-Control-Allow-Headers`, and `Access-Control-Allow-Methods` headers.",
    title: "lets web pages read the document",
    async run(context) {
      const { headers } = await context.askInformation();
      for (const name of ["origin", "headers", "methods"]) {
        const header = `access-control-allow-${name}`;
        must(headers.has(header), `the header ${header} is missing`);
      }
    },
  }),
  nipCheck({
    id: "information/fields",
    nip: "11",
    sentence:
      "This field is an array of the integer identifiers of `NIP`s that are implemented in the relay.",
    title: "gives its fields the types that clients expect",
    async run(context) {
      const document = documentIn(await context.askInformation());
      for (const field of ["name", "description", "pubkey", "contact", "software", "version"]) {
        const value = document[field];
        must(value === undefined || typeof value === "string", `${field} is no string`);
      }
      const nips = document["supported_nips"];
      must(
        nips === undefined || (Array.isArray(nips) && nips.every(Number.isSafeInteger)),
        "supported_nips is no array of whole numbers",
      );
      const limitation = document["limitation"];
      must(
        limitation === undefined || objectIn(limitation) !== undefined,
        "limitation is no object",
      );
    },
  }),
  deadDropCheck({
    id: "information/dead-drop",
    covers: ["relay-1"],
    title: "serves a document with a dead_drop object, complete and as NIP-DD defines it",
    async run(context) {
      const deadDrop = objectIn(documentIn(await context.askInformation())["dead_drop"]);
      must(deadDrop !== undefined, "there is no dead_drop object");
      const kinds = deadDrop["kinds"];
      must(
        Array.isArray(kinds) &&
          kinds.length > 0 &&
          kinds.every((kind) => kind === 4 || kind === 1059),
        `kinds is ${JSON.stringify(kinds)}, not a choice of 4 and 1059`,
      );
      const defined = { acknowledgement_kind: 20_221, timestamp_fuzz: 172_800, clock_skew: 900 };
      for (const [field, value] of Object.entries(defined)) {
        const { [field]: given = value } = deadDrop;
        must(given === value, `${field} is ${JSON.stringify(given)}, not ${value}`);
      }
      for (const field of DEAD_DROP_NUMBERS) {
        const value = deadDrop[field];
        must(
          Number.isSafeInteger(value) && (value as number) > 0,
          `${field} is ${JSON.stringify(value)}, not a positive whole number`,
        );
      }
      for (const field of ["author_deletes_wraps", "http"]) {
        const { [field]: given = false } = deadDrop;
        must(
          typeof given === "boolean",
          `${field} is ${JSON.stringify(given)}, neither true nor false`,
        );
      }
    },
  }),
  deadDropCheck({
    id: "information/former-retentions",
    covers: ["relay-1", "expiry-7"],
    title: "gives former_retentions, if any, as a list of until and retention",
    async run(context) {
      const deadDrop = objectIn(documentIn(await context.askInformation())["dead_drop"]) ?? {};
      const value = deadDrop["former_retentions"];
      must(
        value === undefined || formerRetentionsIn(value) !== undefined,
        `former_retentions is ${JSON.stringify(value)}, not [{"until": …, "retention": …}, …]`,
      );
    },
  }),
  deadDropCheck({
    id: "information/auth-required",
    covers: ["relay-2", "drop-3"],
    title: "does not set limitation.auth_required",
    async run(context) {
      const limitation = objectIn(documentIn(await context.askInformation())["limitation"]);
      must(limitation?.["auth_required"] !== true, "limitation.auth_required is true");
    },
  }),
  deadDropCheck({
    id: "information/restricted-writes",
    covers: ["relay-1"],
    advises: true,
    title: "sets limitation.restricted_writes",
    async run(context) {
      const limitation = objectIn(documentIn(await context.askInformation())["limitation"]);
      must(limitation?.["restricted_writes"] === true, "limitation.restricted_writes is not true");
    },
  }),
];
