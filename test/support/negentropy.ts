import { nip77 } from "nostr-tools";

/** What a record is to Negentropy. */
export type Record = { readonly created_at: number; readonly id: string };

export type Differences = {
  /** Ids that the client alone has, and that the other side alone has. */
  readonly have: readonly string[];
  readonly need: readonly string[];
  /** Messages of the client, the first one included. */
  readonly rounds: number;
};

/** One reconciliation, seen from the client that begins it: nostr-tools, which every relay must get along with. */
export class NegentropyClient {
  readonly #negentropy: nip77.Negentropy;
  readonly #have = new Set<string>();
  readonly #need = new Set<string>();

  constructor(records: Iterable<Record>, frameBytes?: number) {
    const storage = new nip77.NegentropyStorageVector();
    for (const { created_at, id } of records) storage.insert(created_at, id);
    storage.seal();
    this.#negentropy = new nip77.Negentropy(storage, frameBytes);
  }

  /** The first message, in hex. */
  begin(): string {
    return this.#negentropy.initiate();
  }

  /** The next message; null when the differences are known. */
  next(answer: string): string | null {
    return this.#negentropy.reconcile(
      answer,
      (id) => void this.#have.add(id),
      (id) => void this.#need.add(id),
    );
  }

  /** What is known of the differences so far. */
  get differences(): Pick<Differences, "have" | "need"> {
    return { have: [...this.#have].sort(), need: [...this.#need].sort() };
  }

  /** Asks until the differences are known. */
  async reconcile(ask: (message: string) => string | Promise<string>): Promise<Differences> {
    let rounds = 0;
    for (let message: string | null = this.begin(); message !== null; rounds++) {
      message = this.next(await ask(message));
    }
    return { ...this.differences, rounds };
  }
}
