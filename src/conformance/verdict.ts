/** The relay did something else than it should. */
export class Failed extends Error {
  override readonly name = "Failed";
}

/** Cannot be seen here: not advertised, not configured, not observable. */
export class Skipped extends Error {
  override readonly name = "Skipped";
}

/** Fails the check, with `reason`, unless the condition holds. A function, so that checks read as lists of expectations. */
export function must(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Failed(reason);
}

/** Fails unless both are the same ids, in whatever order. */
export function mustBe(
  what: string,
  ids: readonly string[],
  events: readonly { readonly id: string }[],
): void {
  const expected = new Set(events.map(({ id }) => id));
  const missing = [...expected].filter((id) => !ids.includes(id));
  const surplus = ids.filter((id) => !expected.has(id));
  must(
    missing.length === 0,
    `${what}: ${missing.length} of ${expected.size} missing: ${missing.join()}`,
  );
  must(surplus.length === 0, `${what}: ${surplus.length} too many: ${surplus.join()}`);
  must(ids.length === expected.size, `${what}: the same event came twice`);
}
