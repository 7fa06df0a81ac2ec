/**
 * Every sentence of nips/DD.md, DH.md and DR.md that says MUST or SHOULD, in their order, under an id by which checks name it: the drafts have no numbers. A test
 * compares the two, so that the suite never quotes what they no longer say.
 */
export const OBLIGATIONS = {
  "drop-1":
    "A relay MUST refuse a drop with `invalid:` unless it has exactly one `p` tag, with 64 lowercase hex digits.",
  "drop-2": "A relay MUST answer a drop with `OK` `true` only when the drop would survive a crash.",
  "drop-3": "A relay MUST NOT require `AUTH` for drops and acknowledgements.",
  "drop-5":
    "A relay without room MUST answer `OK` `false`, with `rate-limited:` for a full box and `error:` for a full storage.",
  "drop-4": "A held drop MUST NOT leave but by acknowledgement, deletion or expiry.",
  "drop-10":
    "A relay MUST accept ids for which control characters were hashed verbatim (NIP-01) or as `\\u00XX` (JSON).",
  "drop-8":
    "A relay MUST check kind `21059` likewise, pass it to open subscriptions of its recipient, and not hold it.",
  "drop-9":
    "A relay MUST answer kind `21059` with the same `OK` `true` whether or not anyone listens.",
  "drop-7": "A relay SHOULD refuse kinds that this NIP does not name with `blocked:`.",
  "expiry-4":
    "A relay MUST refuse a drop with `invalid:` unless `now < expiry` and `created_at <= now + 900`.",
  "expiry-2":
    "A relay MUST use the earliest of several `expiration` tags, and refuse one that is not decimal digits with `invalid:`.",
  "expiry-5": "A relay MUST NOT serve or count a drop from its expiry on.",
  "expiry-6":
    "A relay MUST NOT use `created_at` for anything else but kind `62`, order and filters.",
  "expiry-7":
    "A relay that changes `retention` MUST apply the former value to events with a `created_at` up to 900 seconds after the change, and list it in `former_retentions` while such events can be held.",
  "expiry-8":
    "The advertised `retention` MUST be the least that applies to events made now, whose `created_at` is up to 172800 seconds back.",
  "pickup-3":
    "A relay MUST send a drop only to connections on which its recipient is authenticated, stored or live.",
  "pickup-1":
    "A relay MUST challenge a connection without an authenticated key at its first `REQ` or `COUNT`.",
  "pickup-15": "A relay MUST NOT challenge a connection that has only published.",
  "pickup-16": "A relay SHOULD hold such a request until `AUTH` is answered, or half a second.",
  "pickup-2":
    "A relay MUST answer one that has no authenticated key then with `CLOSED` and `auth-required:`.",
  "pickup-17":
    "A relay SHOULD send the challenge again before `CLOSED` with `auth-required:` or `restricted:`.",
  "pickup-4": "A relay MUST support several authenticated keys on one connection.",
  "pickup-5":
    "A relay MUST read a filter without `#p` as naming the keys authenticated when the request is taken up.",
  "pickup-6":
    "A relay MUST ignore keys in `#p` that are not authenticated, and filters then left without.",
  "pickup-12":
    "A relay MUST answer a request without a filter left with `CLOSED` and `restricted:`, the same for every box.",
  "pickup-8":
    "A relay MUST answer a `REQ` without `since`, `until` and `limit` with the whole box, or say `more` as in NIP-67.",
  "pickup-11":
    "A relay MUST accept `AUTH` for the host and port of any of its URLs, and for no other.",
  "pickup-18":
    "A relay that supports NIP-77 MUST treat `NEG-OPEN` like that `REQ`, with `NEG-ERR` for `CLOSED`.",
  "ack-1": "A relay MUST NOT store, serve or broadcast an acknowledgement.",
  "ack-2": "A relay MUST apply each id to the signer's box only.",
  "ack-3": "A relay MUST delete the drops before it answers `OK` `true`.",
  "ack-4":
    "With `grace` tags it MUST delete them at the earliest of those times or their expiry, and serve them until then.",
  "ack-5": "A relay MUST keep a _tombstone_, the pair of id and signer, until the drop's expiry.",
  "ack-6":
    "A relay MUST take ids that are new to the signer's box from an acknowledgement with a `created_at` at most `172800 + 900` and its longest `retention` old and 900 ahead, and ignore them in others.",
  "ack-14": "Such a tombstone MUST last until nothing that exists now could be accepted any more.",
  "ack-7":
    "A relay MUST answer a valid acknowledgement with `OK` `true`, whatever became of the drops.",
  "ack-8": "A relay MUST take acknowledgements of held drops while its storage is full.",
  "ack-11":
    "A relay MUST refuse with `invalid:` an acknowledgement without `e` tag, with a malformed `e` or `grace` tag, or with more ids than advertised.",
  "ack-10": "A relay MUST NOT take anything else for an acknowledgement: counts, times, `EOSE`.",
  "same-1":
    'A relay MUST answer a drop that is held and one that was acknowledged with the same bytes: `["OK", "<id>", true, "duplicate: already have this event"]`.',
  "same-3":
    "A relay MUST answer the first arrival of a drop that was acknowledged before as if it were held now, after the same checks, and not hold it, grace or none.",
  "same-2": "A relay SHOULD take the same time for each pair.",
  "delete-1":
    "A relay MUST treat a kind `5` (NIP-09) by the recipient as an acknowledgement, `grace` included; one that names nothing here gets `OK` `true`.",
  "delete-2": "A relay MUST delete a kind `4` that its author names in a kind `5`.",
  "delete-3": "A relay SHOULD NOT delete a kind `1059` for its author.",
  "delete-4": "A relay MUST NOT store, serve or broadcast kinds `5` and `62`.",
  "delete-5":
    "A relay MUST delete, for a kind `62` (NIP-62) to it or `ALL_RELAYS`, drops to its signer and kind `4` by its signer with a `created_at` up to its own, and keep tombstones.",
  "delete-6": "A kind `62` that is published again MUST NOT delete what came after it.",
  "delete-7":
    "A relay MUST refuse with `invalid:` a kind `62` for other relays, or dated more than 900 seconds ahead.",
  "relay-1": "A relay MUST have a `dead_drop` object in its NIP-11 document.",
  "relay-2": "A relay MUST NOT set `limitation.auth_required` to `true`.",
  "client-12":
    "A client MUST NOT send kind `20221` to a relay without `dead_drop`: it would broadcast who received what.",
  "client-1":
    "A sender SHOULD publish to all relays of the recipient's kind `10050` list (NIP-17), and again where it is not sure.",
  "client-9": "A sender SHOULD NOT publish drops on an authenticated connection.",
  "client-8": "A sender SHOULD round an `expiration` up and add a random part.",
  "client-4":
    "A recipient SHOULD ask without `since`, and acknowledge what it has stored at all its relays, with a grace for its other devices.",
  "http-3": "A relay MUST give an event over HTTP the answer that it gives to the same `EVENT`.",
  "http-1": "`GET` MUST pass the same checks as a `REQ`.",
  "http-2": "Reading MUST NOT delete.",
  "receipt-1": "A client MUST NOT send receipts unless its user asked for them.",
  "receipt-2": "A recipient SHOULD send a receipt after a random delay.",
  "receipt-3": "A client MUST NOT answer a receipt with a receipt.",
} as const;

export type ObligationId = keyof typeof OBLIGATIONS;
