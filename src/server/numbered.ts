/** Questions to another thread that wait for their answer, by number. */
export class Numbered<Answer> {
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #last = 0;

  /** A number to ask under, and what will be answered. */
  open(): { readonly number: number; readonly answer: Promise<Answer> } {
    const number = ++this.#last;
    return {
      number,
      answer: new Promise((resolve) => this.#waiting.set(number, resolve)),
    };
  }

  close(number: number, answer: Answer): void {
    this.#waiting.get(number)?.(answer);
    this.#waiting.delete(number);
  }
}
