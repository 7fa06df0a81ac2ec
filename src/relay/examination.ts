import { peekId } from "../nostr/event.ts";
import { type Answer, BUSY, NOT_CHECKED } from "./answer.ts";
import { type Examined, type PackedExamined, unpack } from "./examined.ts";
import type { Refused } from "./observer.ts";
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

  /** Resolves to what the message is, or to the answer itself when it did not come to an examination, a refusal `as` what. */
  async of(text: string, as: Refused): Promise<Examined | Answer> {
    const refusals = this.#refusals;
    if (!this.#pool.hasRoom) return refusals.answer(peekId(text), BUSY, as);
    const packed = await this.#pool.ask(text);
    return packed === undefined ? refusals.answer(peekId(text), NOT_CHECKED, as) : unpack(packed);
  }
}
