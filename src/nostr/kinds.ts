// The kinds that mean something to a dead drop. Everything else is refused.

/** NIP-04 direct message. */
export const DIRECT_MESSAGE = 4;
/** NIP-09 deletion request. */
export const DELETION = 5;
/** NIP-59 seal, only ever inside a gift wrap. */
export const SEAL = 13;
/** NIP-17 chat message, only ever inside a seal. */
export const CHAT_MESSAGE = 14;
/** NIP-17 file message, only ever inside a seal. */
export const FILE_MESSAGE = 15;
/** NIP-DR receipt, only ever inside a seal. */
export const RECEIPT = 18;
/** NIP-62 request to vanish. */
export const VANISH = 62;
/** NIP-59 gift wrap. */
export const GIFT_WRAP = 1059;
/** NIP-DD acknowledgement: 20000 + 0xDD, in NIP-01's ephemeral range so that no relay stores it. */
export const ACKNOWLEDGEMENT = 20221;
/** Ephemeral gift wrap: passed to a recipient who is listening, never stored. */
export const EPHEMERAL_GIFT_WRAP = 21059;
/** NIP-42 authentication, only ever inside an AUTH message. */
export const AUTHENTICATION = 22242;
/** NIP-98 authorization of an HTTP request, only ever inside its header. */
export const HTTP_AUTHORIZATION = 27235;

/** Kinds that are held until they are acknowledged or expire. */
export const HELD_KINDS: ReadonlySet<number> = new Set([DIRECT_MESSAGE, GIFT_WRAP]);
/** Kinds that carry exactly one recipient in a `p` tag. */
export const ADDRESSED_KINDS: ReadonlySet<number> = new Set([...HELD_KINDS, EPHEMERAL_GIFT_WRAP]);
/** Kinds that are acted on and then forgotten. */
export const CONSUMED_KINDS: ReadonlySet<number> = new Set([DELETION, VANISH, ACKNOWLEDGEMENT]);
/** Kinds a client may publish with EVENT. */
export const ACCEPTED_KINDS: ReadonlySet<number> = new Set([...ADDRESSED_KINDS, ...CONSUMED_KINDS]);
