import { peekId } from "../nostr/event.ts";
import { type Answer, NOT_CHECKED } from "./answer.ts";
import { type Examined, type PackedExamined, unpack } from "./examined.ts";
import type { Refusals } from "./refusals.ts";

/** Where raw messages are examined, away from the event loop: a pool of threads that run examine.ts. */
export type ExaminationPool = {
  /** False when so much waits already that asking for more would only make everybody wait longer. */
  readonly hasRoom: boolean;
  /** Resolves to undefined when the message could not be examined for no fault of its own. */
  ask(text: string): Promise<PackedExamined | undefined>;
};

/** Has raw EVENT and AUTH messages examined. */
export class Examination {
  readonly #pool: ExaminationPool;
  readonly #refusals: Refusals;

  constructor(pool: ExaminationPool, refusals: Refusals) {
    this.#pool = pool;
    this.#refusals = refusals;
  }

  /** Resolves to what the message is, or to the answer itself when it did not come to an examination. */
  async of(text: string): Promise<Examined | Answer> {
    if (!this.#pool.hasRoom) {
      return this.#refusals.answer(peekId(text), "rate-limited: the relay is busy, try again");
    }
    const packed = await this.#pool.ask(text);
    return packed === undefined ? this.#refusals.answer(peekId(text), NOT_CHECKED) : unpack(packed);
  }
}
