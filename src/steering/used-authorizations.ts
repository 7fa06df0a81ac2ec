// As many as an admin can hardly make in the two minutes for which one is good. Nobody else's are kept.
const MAX_USED = 10_000;

/** Remembers which authorizations were used, as long as they would be taken, so that none is good for two requests. */
export class UsedAuthorizations {
  readonly #until: Map<string, number>;

  constructor(used: ReadonlyMap<string, number>) {
    this.#until = new Map(used);
  }

  /** Whether this event was not used before; it is from now on. `until`, Unix seconds: the last one in which it would be taken. */
  use(id: string, until: number, now: number): "fresh" | "used" | "too many" {
    if (this.#until.has(id)) return "used";
    this.#forgetPast(now);
    if (this.#until.size >= MAX_USED) return "too many";
    this.#until.set(id, until);
    return "fresh";
  }

  get all(): ReadonlyMap<string, number> {
    return this.#until;
  }

  #forgetPast(now: number): void {
    for (const [id, until] of this.#until) if (until < now) this.#until.delete(id);
  }
}
