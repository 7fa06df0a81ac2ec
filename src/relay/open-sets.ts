/** What an open reconciliation keeps in memory. */
export type OpenSet = {
  readonly drops: number;
  /** Ends the reconciliation, and tells the client so. */
  forget(): void;
};

/**
 * What all open reconciliations keep, bounded in drops: 41 bytes each. When a new one has no room, those go that were silent longest. Their clients are told
 * so, and may begin anew.
 */
export class OpenSets {
  readonly #maxDrops: number;
  // The one used last comes last.
  readonly #sets = new Set<OpenSet>();
  #drops = 0;

  constructor(maxDrops: number) {
    this.#maxDrops = maxDrops;
  }

  add(set: OpenSet): void {
    this.#sets.add(set);
    this.#drops += set.drops;
    for (const oldest of this.#sets) {
      if (this.#drops <= this.#maxDrops) return;
      oldest.forget();
    }
  }

  used(set: OpenSet): void {
    if (this.#sets.delete(set)) this.#sets.add(set);
  }

  delete(set: OpenSet): void {
    if (this.#sets.delete(set)) this.#drops -= set.drops;
  }
}
