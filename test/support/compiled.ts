/**
 * Where Node keeps what it compiled, for the programs that tests start: half of what a start costs. It checks what it kept against the sources, and is safe
 * to be used by several at once.
 */
export const COMPILED = new URL("../../.cache/compiled", import.meta.url).pathname;
