import type { Fault } from "./fault.ts";
import type { SmallRules } from "./small-rules.ts";

const DAY = 24 * 60 * 60;
const now = Math.floor(Date.now() / 1_000);

/** Rules under which a broken promise shows. */
export const RULES_OF: Partial<Record<Fault, Partial<SmallRules>>> = {
  "forgets former retentions": {
    formerRetentions: [{ until: now - DAY, retention: 10 * DAY }],
  },
  "forgets unseen ids beyond its bound": { maxEarlyAcknowledgements: 5 },
};

/** A broken promise, and the checks that are there to see it. */
export const FAULTS: Record<Fault, readonly string[]> = {
  "shows drops to everybody": [
    "pickup/probes",
    "pickup/foreign-p",
    "pickup/author",
    "pickup/nip-59",
  ],
  "delivers live to everybody": ["pickup/live-foreign", "pickup/nip-17", "drops/ephemeral-live"],
  "shows drops to their author": ["pickup/author"],
  "challenges everybody": ["auth/unasked"],
  "challenges once": ["auth/again"],
  "refuses what overtakes AUTH": ["auth/overtaken"],
  "challenges who publishes": ["auth/unasked"],
  "sends everybody one challenge": ["auth/own-challenge", "auth/foreign-challenge"],
  "sends a challenge again": ["auth/own-challenge"],
  "holds a REQ for ever": ["pickup/unauthenticated", "pickup/live-before-auth"],
  "answers a REQ without a key with nothing": [
    "pickup/unauthenticated",
    "pickup/live-before-auth",
    "auth/again",
  ],
  "ignores the port in AUTH": ["auth/wrong-port"],
  "lets a subscription follow a later AUTH": ["pickup/later-auth"],
  "believes any AUTH": [
    "auth/wrong-kind",
    "auth/wrong-challenge",
    "auth/wrong-host",
    "auth/forged",
  ],
  "believes any host": ["auth/wrong-host", "auth/wrong-port"],
  "believes any challenge": ["auth/wrong-challenge", "auth/foreign-challenge"],
  "believes an old AUTH": ["auth/wrong-time"],
  "knows one key a connection": ["auth/several-keys", "pickup/no-p"],
  "reads without AUTH": ["pickup/unauthenticated", "count/unauthenticated", "pickup/nip-59"],
  "counts for everybody": ["count/probes", "count/foreign-p", "count/same-answer"],
  "ignores foreign keys in silence": ["pickup/foreign-p", "count/foreign-p"],
  "lets one filter spoil the rest": ["pickup/other-filters"],
  "tells full boxes from empty ones": ["pickup/box-answer", "count/same-answer"],
  "takes drops for two": ["drops/one-recipient"],
  "takes every kind": ["drops/other-kinds"],
  "wants AUTH from senders": ["drops/anyone"],
  "evicts the oldest": ["drops/held", "drops/full-box"],
  "stores kind 21059": ["drops/ephemeral-not-stored", "http/ephemeral"],
  "answers kind 21059 by presence": ["drops/ephemeral-answer", "http/ephemeral"],
  "keeps what has expired": [
    "expiry/tag-while-held",
    "expiry/retention-while-held",
    "expiry/nip-40-held",
  ],
  "uses the last expiration tag": ["expiry/earliest-while-held", "expiry/malformed"],
  "reads a malformed expiration as none": ["expiry/malformed"],
  "takes what has expired": ["expiry/formula", "expiry/on-arrival", "expiry/ephemeral"],
  "takes the distant future": ["expiry/clock-skew", "expiry/ephemeral"],
  "takes kind 21059 at any time": ["expiry/ephemeral"],
  "refuses kind 21059 from yesterday": ["expiry/ephemeral"],
  "forgets former retentions": ["expiry/former-retentions"],
  "delivers live by created_at": ["expiry/old-is-new"],
  "forgets what was acknowledged": ["acknowledgement/republished", "same-answer/bytes"],
  "obeys anybody's acknowledgement": ["acknowledgement/foreign", "http/ack"],
  "ignores an early acknowledgement": ["acknowledgement/early", "deletions/early"],
  "tells that a drop was acknowledged before it came": [
    "acknowledgement/early",
    "deletions/early",
    "same-answer/ways",
    "http/ack-early",
  ],
  "ignores old acknowledgements": ["expiry/old-acknowledgement"],
  "remembers unseen ids of old acknowledgements": ["acknowledgement/old-unseen"],
  "forgets unseen ids after a day": ["acknowledgement/old-unseen"],
  "forgets unseen ids beyond its bound": ["acknowledgement/early-bound"],
  "remembers one unseen id of an acknowledgement": ["acknowledgement/early-many"],
  "applies half of an acknowledgement": [
    "acknowledgement/deletes",
    "acknowledgement/many",
    "acknowledgement/whole",
    "acknowledgement/early-many",
  ],
  "stops at an id it does not hold": ["acknowledgement/whole", "acknowledgement/early-many"],
  "ignores the grace": [
    "acknowledgement/grace",
    "acknowledgement/grace-over",
    "acknowledgement/grace-earliest",
    "deletions/grace",
  ],
  "lets the latest grace hold": ["acknowledgement/grace-earliest", "deletions/grace"],
  "reads a malformed grace as none": ["acknowledgement/grace-malformed"],
  "ignores the grace of a kind 5": ["deletions/grace"],
  "takes the expiration of a kind 5 for a grace": ["deletions/expiration"],
  "extends the expiry by the grace": ["acknowledgement/grace-beyond-expiry"],
  "acknowledges at EOSE": ["pickup/no-acknowledgement", "drops/held"],
  "broadcasts acknowledgements": ["acknowledgement/consumed", "deletions/consumed"],
  "stores acknowledgements": ["acknowledgement/consumed"],
  "tells acknowledged from held": [
    "same-answer/bytes",
    "same-answer/ways",
    "same-answer/anyone",
    "http/ack",
  ],
  "accepts a malformed acknowledgement": ["acknowledgement/malformed"],
  "refuses an acknowledgement of nothing": ["acknowledgement/any-ids", "acknowledgement/early"],
  "ignores kind 5 by the recipient": [
    "deletions/recipient",
    "deletions/nip-09-recipient",
    "http/ack",
  ],
  "obeys kind 5 by the author of a wrap": ["deletions/author-of-wrap"],
  "ignores kind 5 by the author of a message": ["deletions/author-of-message", "deletions/nip-09"],
  "obeys kind 5 by a stranger": ["deletions/stranger", "deletions/nip-09"],
  "stores kind 5": ["deletions/consumed"],
  "vanishes again at a replay": ["deletions/vanish-replayed"],
  "vanishes for other relays": ["deletions/vanish-elsewhere"],
  "accepts a kind 62 for other relays": ["deletions/vanish-elsewhere"],
  "vanishes ahead of time": ["deletions/vanish-ahead"],
  "keeps what who vanishes wrote": ["deletions/vanish-written"],
  "vanishes without tombstones": ["deletions/vanish", "deletions/nip-62-again"],
  "says finish always": ["hints/true", "hints/sent"],
  "gives no hints": ["hints/sent"],
  "serves no document": ["information/document"],
  "takes forged events": ["basics/forged", "acknowledgement/forged"],
  "knows one spelling of an id": ["drops/either-spelling"],
  "ignores CLOSE": ["basics/close"],
  "ignores limit": ["basics/limit"],
  "checks no work": ["pow/too-little"],
  "reconciles everybody's boxes": [
    "negentropy/foreign-p",
    "negentropy/probes",
    "pickup/negentropy",
  ],
  "reconciles without AUTH": ["negentropy/unauthenticated"],
  "reconciles from the start on for ever": ["negentropy/again"],
  "reconciles what was acknowledged": ["negentropy/acknowledged"],
  "refuses NEG-OPEN that overtakes AUTH": ["negentropy/overtaken"],
  "answers after NEG-CLOSE": ["negentropy/close"],
  "acknowledges what it reconciles": ["negentropy/own", "negentropy/no-acknowledgement"],
  "shows boxes over HTTP to everybody": ["http/gate", "http/box-answer", "http/authorization"],
  "shows boxes over HTTP to any key": ["http/gate", "http/box-answer"],
  "counts over HTTP for everybody": ["http/gate", "http/box-answer"],
  "believes an authorization for another request": ["http/authorization"],
  "tells full boxes from empty ones over HTTP": ["http/box-answer"],
  "deletes what is read over HTTP": ["http/reading", "http/answer"],
  "loses drops of one second between pages": ["http/pages"],
  "answers over HTTP otherwise than on the socket": ["http/answer", "http/refusal", "http/ack"],
  "tells over HTTP that a drop was acknowledged before it came": ["http/ack-early"],
  "answers every event over HTTP with 200": ["http/answer", "http/refusal", "http/ephemeral"],
  "takes drops at /ack": ["http/ack-alone"],
};

/** What takes two to be wrong. */
export const COMBINATIONS: Record<
  string,
  {
    readonly faults: readonly Fault[];
    readonly rules: Partial<SmallRules>;
    readonly caught: readonly string[];
  }
> = {
  "sends a part of a box and says that it is all": {
    faults: ["says finish always"],
    rules: { pageDrops: 2 },
    caught: ["pickup/whole-box", "hints/true"],
  },
  "sends a part of a box and says nothing": {
    faults: ["gives no hints"],
    rules: { pageDrops: 2, nips: [1, 42] },
    caught: ["pickup/whole-box"],
  },
  "forgets a former retention that was longer": {
    faults: ["forgets former retentions"],
    rules: { retention: 10 * DAY, formerRetentions: [{ until: now - DAY, retention: 30 * DAY }] },
    caught: ["expiry/former-retentions"],
  },
  "takes no kind 4 and says that it holds it": {
    faults: [],
    rules: { kinds: [1059], advertisedKinds: [4, 1059] },
    caught: ["drops/anyone"],
  },
};
