/**
 * Every sentence of nips/DD.md that says MUST or SHOULD, under the id that stands behind it there. A test compares the two, so that the suite never
 * quotes what the NIP no longer says.
 */
export const OBLIGATIONS = {
  "drop-1":
    "A relay MUST refuse a drop, or an event of kind `21059`, with `invalid:` unless it has exactly one `p` tag, with a 64-character lowercase hex key.",
  "drop-2":
    "A relay MUST send `OK` `true` for a drop only after the drop would survive a crash of the relay.",
  "drop-3": "A relay MUST NOT require NIP-42 authentication to publish a drop.",
  "drop-10":
    "A relay MUST accept the id of a drop that is the hash of NIP-01's serialization with other control characters than the ones it lists either verbatim or as `\\u00XX`.",
  "drop-4":
    "A relay MUST NOT remove a held drop for any reason but acknowledgement, deletion as defined below, or expiry.",
  "drop-5":
    "A relay that cannot hold a drop MUST answer `OK` `false`: with `rate-limited:` when the box is full, with `error:` when the storage is.",
  "drop-6":
    "A relay MUST deliver an event of kind `21059` to open subscriptions of its recipient only.",
  "drop-8": "A relay MUST NOT store an event of kind `21059`.",
  "drop-9":
    "A relay MUST give the same answer, `OK` `true`, to an event of kind `21059` whether or not anyone listens.",
  "drop-7":
    "A relay SHOULD refuse every other kind, except those this NIP consumes, with `blocked:`.",
  "expiry-1":
    "A relay MUST compute the expiry from the event's signed fields and its `retention` alone.",
  "expiry-2": "A relay MUST use the earliest of several `expiration` tags (NIP-40).",
  "expiry-3":
    "A relay MUST refuse a drop whose `expiration` tag is anything but decimal digits, with `invalid:`.",
  "expiry-4":
    "A relay MUST refuse a drop with `invalid:` unless `now < expiry` and `created_at <= now + 900`.",
  "expiry-5": "A relay MUST NOT serve or count a drop from its expiry on.",
  "expiry-6":
    "A relay MUST NOT use the `created_at` of a drop for anything but the expiry rule, kind `62`, order and filters.",
  "expiry-7":
    "A relay that changes its `retention` MUST keep the former value for every event with a `created_at` that could have been accepted before the change.",
  "pickup-1":
    "A relay MUST send an `AUTH` challenge with the first `REQ` or `COUNT` (NIP-45) of a connection that has no authenticated key.",
  "pickup-15": "A relay MUST NOT send a challenge to a connection that has only published.",
  "pickup-16": "A relay SHOULD hold such a request for half a second, or until `AUTH` is answered.",
  "pickup-2":
    "A relay MUST answer a request that still has no authenticated key then with `CLOSED` and `auth-required:`.",
  "pickup-17":
    "A relay SHOULD send the challenge again before each `CLOSED` with `auth-required:` or `restricted:`.",
  "pickup-3":
    "A relay MUST send a drop only to connections on which its recipient is authenticated, stored or live, whatever the filter says.",
  "pickup-4": "A relay MUST support several authenticated keys on one connection.",
  "pickup-5":
    "A relay MUST treat a filter without `#p` as if it named the keys that are authenticated when the request comes.",
  "pickup-6": "A relay MUST leave out of `#p` the keys that are not authenticated.",
  "pickup-14": "A relay MUST leave out a filter that then names none.",
  "pickup-12":
    "A relay MUST answer a request of which no filter is left with `CLOSED` and `restricted:`.",
  "pickup-18":
    "A relay that supports NIP-77 MUST reconcile only drops that it would send to the same connection on a `REQ` with the same filter.",
  "pickup-19":
    "Such a relay MUST challenge, and refuse with `NEG-ERR`, a `NEG-OPEN` where it would challenge and close that `REQ`.",
  "pickup-20": "Such a relay SHOULD hold a `NEG-OPEN` as it would hold that `REQ`.",
  "pickup-7":
    "The answer to a request about another recipient's box MUST be the same whether that box is empty, full or unknown.",
  "pickup-8":
    "A relay MUST return all drops of the box that were not acknowledged to a `REQ` without `since`, `until` and `limit`, or say `more` as in NIP-67.",
  "pickup-9": "A relay MUST NOT treat a pickup, or its `EOSE`, as an acknowledgement.",
  "pickup-10": "A relay SHOULD send the `finish` and `more` hints of NIP-67.",
  "pickup-11":
    "A relay MUST accept an `AUTH` event whose `relay` tag has the host, with its port, of one of the relay's URLs.",
  "pickup-13": "A relay MUST refuse an `AUTH` event with any other `relay` tag.",
  "ack-1": "A relay MUST NOT store, serve or broadcast an acknowledgement.",
  "ack-2": "A relay MUST apply each id to the signer's box only.",
  "ack-3":
    "A relay MUST delete the drops that an acknowledgement without an `expiration` tag names before it answers `OK`.",
  "ack-4":
    "A relay MUST delete the drops that an acknowledgement with an `expiration` tag names at that time or at their expiry, whichever is earlier.",
  "ack-5":
    "A relay MUST keep a tombstone for each acknowledged pair of id and signer until the drop's expiry.",
  "ack-6": "A relay MUST accept an acknowledgement of a drop it has not seen.",
  "ack-12": "A relay MUST NOT hold that drop when it comes.",
  "ack-7":
    "A relay MUST answer `OK` `true` to a valid acknowledgement within that bound, whatever became of the drops it names.",
  "ack-8": "A relay MUST accept acknowledgements of drops it holds while its storage is full.",
  "ack-13": "A relay SHOULD keep room to remember acknowledgements of drops it has not seen.",
  "ack-9":
    "An acknowledgement that is published again, by anyone, MUST have no effect but that of the first time.",
  "ack-10": "A relay MUST NOT infer an acknowledgement from counts, timestamps or `EOSE`.",
  "ack-11":
    "A relay MUST refuse with `invalid:` an acknowledgement without an `e` tag, with an `e` tag that is no event id, with a malformed `expiration`, or with more ids than it advertises.",
  "same-1":
    'A relay MUST answer a drop that it already holds and one that was acknowledged with the same bytes: `["OK", "<id>", true, "duplicate: already have this event"]`.',
  "same-2": "A relay SHOULD take the same time for both.",
  "delete-1":
    "A relay MUST treat a kind `5` event (NIP-09) by the recipient like an acknowledgement without `expiration`.",
  "delete-2": "A relay MUST delete a held kind `4` event that its author names in a kind `5`.",
  "delete-3": "A relay SHOULD NOT let the author of a kind `1059` event delete it.",
  "delete-4": "A relay MUST NOT store, serve or broadcast a kind `5` or `62` event.",
  "delete-5":
    "A relay MUST delete the signer's drops with a `created_at` up to that of a kind `62` event (NIP-62) that names the relay or `ALL_RELAYS`, and keep their tombstones.",
  "delete-6":
    "A kind `62` event that is published again MUST NOT delete drops that came after it, whatever their `created_at`.",
  "relay-1": "A relay MUST serve a NIP-11 document with a `dead_drop` object.",
  "relay-2": "A relay MUST NOT set `limitation.auth_required` to `true`.",
  "relay-3": "A relay SHOULD set `limitation.restricted_writes` to `true`.",
  "client-1":
    "A sender SHOULD publish a drop to all relays in the recipient's kind `10050` list (NIP-17) and count it delivered when a majority of them answered `OK` `true`.",
  "client-2":
    "A sender SHOULD publish the identical event again when it is not sure that it arrived.",
  "client-3": "A sender that sets `expiration` SHOULD NOT derive it from the true time alone.",
  "client-8": "A sender SHOULD round an `expiration` up and add a random part.",
  "client-4": "A recipient SHOULD ask without `since`.",
  "client-5": "A recipient SHOULD acknowledge only after it has stored the drops.",
  "client-6":
    "A recipient SHOULD acknowledge on all its relays, including those that did not have the drop.",
  "client-7": "A recipient with several devices SHOULD acknowledge with a grace.",
  "client-9": "A client SHOULD NOT publish drops on a connection on which it has authenticated.",
  "client-10": "A recipient SHOULD merge what its relays hold by the id of the message inside.",
  "client-11": "A recipient SHOULD accept both spellings of an id, too.",
  "receipt-1": "A client MUST NOT send receipts unless its user asked for them.",
  "receipt-2": "A recipient SHOULD send a receipt after a random delay.",
  "receipt-3": "A client MUST NOT answer a receipt with a receipt.",
  "http-3": "A relay MUST give an event over HTTP the answer that it gives to the same `EVENT`.",
  "http-1": "`GET /pickup` MUST pass the same checks as a `REQ`.",
  "http-2": "Reading MUST NOT delete.",
  "privacy-1": "A relay SHOULD NOT write recipients, ids or addresses to logs.",
  "privacy-2": "A relay SHOULD NOT publish counters that move with a single pickup.",
} as const;

export type ObligationId = keyof typeof OBLIGATIONS;
