// What BEHAVIOR.md promises of time, in the plainest words there are: a model of drops with expiries and graces, under clocks that somebody sets, that drift,
// and that stand still. It does not know what the relay did, only what the relay may have done: where both are right, both are allowed.

const DAY = 24 * 60 * 60;
const HOUR = 60 * 60;
const FUZZ = 2 * DAY;
const SKEW = 15 * 60;
// A clock is steady while it stays within so much of the monotonic one.
const STEADY = 60;
// Nobody sets a clock further: a Linux does not go before 1970.
const FARTHEST = 31 * 365 * DAY;

/** How somebody finds a relay, or a store: what clocks it has, and what can be asked of it. Times are Unix seconds, by its own clock. */
export type Subject<Letter> = {
  now(): number;
  monotonic(): number;
  /** Time goes by. */
  passes(seconds: number): Promise<void>;
  /** Somebody sets the clock so much further, or the machine sleeps for so long. */
  isMoved(seconds: number): Promise<void>;
  /** It is ended, and started again: meanwhile the clock went on by so much. */
  restarts(seconds: number, zone: string): Promise<void>;
  write(to: number, createdAt: number, expiration: number | undefined): Letter;
  /** The reason, empty where it is held from now on, or as if. */
  publish(letter: Letter): Promise<string>;
  acknowledge(to: number, letter: Letter, at: number | undefined): Promise<string>;
  /** What is shown of somebody's box. */
  picksUp(to: number): Promise<readonly Letter[]>;
  sweep(): Promise<void>;
  confirm(): Promise<void>;
  /** What is on disk. */
  drops(): Promise<number>;
  /** Whether its clock is believed. */
  isBelieved(): Promise<boolean>;
};

export const PEOPLE = 2;
const DUPLICATE = "duplicate: already have this event";
const EXPIRED = "invalid: expired";

type Kept<Letter> = {
  readonly letter: Letter;
  readonly to: number;
  readonly createdAt: number;
  readonly expiry: number;
  /** Until when it is shown: its expiry, or the end of its grace; 0 once it was acknowledged. */
  leaves: number;
  state: "unseen" | "came";
  /** The relay may have deleted it for being past. */
  mayBeGone: boolean;
  /** The relay may have forgotten that it ever came. */
  mayBeForgotten: boolean;
  /** Until when it is remembered, at least, that it was acknowledged before it came. */
  remembered: number | undefined;
};

type Reading = { readonly apart: number; readonly monotonic: number };

export class ClockModel<Letter> {
  /** What must not be. */
  readonly wrongs: string[] = [];
  readonly #subject: Subject<Letter>;
  readonly #retention: number;
  readonly #slack: number;
  readonly #sweepsAlways: boolean;
  readonly #kept: Kept<Letter>[] = [];
  // By how much the clock is ahead of the truth.
  #wrongBy = 0;
  // Up to where what is past may have been deleted, and up to where it was swept.
  #gone = 0;
  #swept = 0;
  // Of this run of the relay.
  #readings: Reading[] = [];
  #isNear = false;

  /** `slack`: seconds by which the two may read the clock apart. `sweepsAlways`: it sweeps by itself, at any time. */
  constructor(
    subject: Subject<Letter>,
    settings: { retention: number; slack: number; sweepsAlways: boolean },
  ) {
    this.#subject = subject;
    this.#retention = settings.retention;
    this.#slack = settings.slack;
    this.#sweepsAlways = settings.sweepsAlways;
    this.#begins();
  }

  async passes(seconds: number): Promise<void> {
    await this.#subject.passes(seconds);
    this.#reads();
  }

  async isSet(seconds: number): Promise<void> {
    await this.#subject.isMoved(this.#setsBy(seconds));
    this.#reads();
  }

  async isRight(): Promise<void> {
    await this.isSet(-this.#wrongBy);
  }

  /** The wall clock goes on and the monotonic one does not. */
  async sleeps(seconds: number): Promise<void> {
    await this.#subject.isMoved(seconds);
    this.#reads();
  }

  /** So much each minute, for so many minutes. */
  async drifts(secondsAMinute: number, minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      this.#wrongBy += secondsAMinute;
      await this.#subject.isMoved(secondsAMinute);
      await this.passes(60);
    }
  }

  async restarts(seconds: number, set: number, zone: string): Promise<void> {
    await this.#subject.restarts(seconds + this.#setsBy(set), zone);
    this.#begins();
  }

  async drop(to: number, ago: number, life: number | undefined, isUnseen: boolean): Promise<void> {
    const createdAt = this.#now - ago;
    const rule = createdAt + FUZZ + this.#retention;
    const expiration = life === undefined ? undefined : this.#now + life;
    const expiry = Math.min(expiration ?? Infinity, rule);
    const letter = this.#subject.write(to, createdAt, expiration);
    const kept: Kept<Letter> = {
      letter,
      to,
      createdAt,
      expiry,
      leaves: expiry,
      state: "unseen",
      mayBeGone: false,
      mayBeForgotten: false,
      remembered: undefined,
    };
    this.#kept.push(kept);
    if (!isUnseen) await this.#publishes(kept);
  }

  /** One of all that were ever written, once more. */
  async repeats(index: number): Promise<void> {
    const kept = this.#kept[index % Math.max(1, this.#kept.length)];
    if (kept !== undefined) await this.#publishes(kept);
  }

  async acknowledges(index: number, grace: number | undefined): Promise<void> {
    const kept = this.#kept[index % Math.max(1, this.#kept.length)];
    if (kept === undefined) return;
    const at = grace === undefined ? undefined : this.#now + grace;
    const reason = await this.#subject.acknowledge(kept.to, kept.letter, at);
    if (reason !== "") return this.#wrong(`an acknowledgement is answered “${reason}”`);
    if (kept.state === "unseen" || kept.mayBeForgotten) {
      // It comes later, or once more.
      // One from before the last sweep may be too old to speak of what is to come.
      kept.remembered = this.#now < this.#gone ? 0 : this.#now + SKEW + FUZZ + this.#retention;
    }
    kept.leaves = at === undefined ? 0 : Math.min(kept.leaves, at);
    if (kept.leaves <= this.#gone || (kept.leaves <= this.#now && this.#mayBelieve())) {
      kept.mayBeGone = true;
    }
  }

  async sweeps(): Promise<void> {
    await this.#subject.sweep();
    this.#reads();
    if (this.#mayBelieve()) this.#maySweepTo(this.#now);
  }

  /** Somebody who knows says that it is right: if it is. */
  async confirms(): Promise<void> {
    if (Math.abs(this.#wrongBy) > STEADY / 2) return;
    await this.#subject.confirm();
    this.#swept = this.#now;
    this.#begins();
    this.#isNear = true;
    this.#maySweepTo(this.#now);
  }

  async looks(): Promise<void> {
    for (let to = 0; to < PEOPLE; to += 1) {
      const begun = this.#now;
      const shown = new Set(await this.#subject.picksUp(to));
      for (const kept of this.#kept) {
        if (kept.to !== to) continue;
        const isShown = shown.has(kept.letter);
        const isHeld = kept.state === "came";
        if (isShown && (!isHeld || kept.leaves <= begun - this.#slack)) {
          this.#wrong(`shown, though it leaves at ${kept.leaves} and it is ${begun}`);
        }
        const must = isHeld && kept.leaves > this.#now + this.#slack && !kept.mayBeGone;
        if (!isShown && must)
          this.#wrong(`lost, though it leaves at ${kept.leaves} and it is ${begun}`);
      }
    }
  }

  /** In the end the clock is right again and stays so for more than an hour: nothing is lost, and what is past is gone. */
  async ends(): Promise<void> {
    await this.isRight();
    if (this.#gone > this.#now) await this.confirms();
    await this.passes(HOUR + STEADY);
    if (!(await this.#subject.isBelieved())) this.#wrong("steady for an hour, and not believed");
    await this.sweeps();
    await this.looks();
    for (const kept of this.#kept) await this.#publishes(kept);
    await this.looks();
    const most = this.#kept.filter(
      ({ state, leaves }) => state === "came" && leaves > this.#now - this.#slack,
    ).length;
    const held = await this.#subject.drops();
    if (held > most) this.#wrong(`${held} drops are on disk, and ${most} are not past`);
  }

  get #now(): number {
    return this.#subject.now();
  }

  async #publishes(kept: Kept<Letter>): Promise<void> {
    const now = this.#now;
    const reason = await this.#subject.publish(kept.letter);
    const allowed = this.#answers(kept, now);
    if (!allowed.has(reason)) {
      const { state, expiry, leaves, mayBeForgotten } = kept;
      const what = JSON.stringify({ state, expiry, leaves, mayBeForgotten, now, gone: this.#gone });
      this.#wrong(`${what} is answered “${reason}”, not ${[...allowed].join(" or ")}`);
      return;
    }
    if (reason !== "") return;
    // It came for the first time, or once more after it was past by a clock that was believed for an hour.
    const { remembered } = kept;
    kept.leaves = remembered !== undefined && remembered > this.#gone ? 0 : kept.expiry;
    kept.state = "came";
    kept.mayBeForgotten = false;
    kept.mayBeGone = remembered !== undefined;
    kept.remembered = undefined;
  }

  // What it may be told now.
  #answers({ state, createdAt, expiry, mayBeForgotten }: Kept<Letter>, now: number): Set<string> {
    const answers = new Set<string>();
    const latest = Math.max(now, this.#gone);
    if (createdAt > now + SKEW - this.#slack) {
      answers.add("invalid: created_at is too far in the future");
      if (createdAt > latest + SKEW + this.#slack) return answers;
    }
    if (expiry <= latest + this.#slack) {
      answers.add(EXPIRED);
      if (expiry <= now - this.#slack) return answers;
    }
    if (state === "unseen" || mayBeForgotten) answers.add("");
    if (state === "came") answers.add(DUPLICATE);
    return answers;
  }

  // The other way where that would be too far.
  #setsBy(seconds: number): number {
    const set = Math.abs(this.#wrongBy + seconds) > FARTHEST ? -seconds : seconds;
    this.#wrongBy += set;
    return set;
  }

  #maySweepTo(time: number): void {
    const upTo = time + this.#slack;
    this.#swept = Math.max(this.#swept, upTo);
    this.#gone = Math.max(this.#gone, upTo);
    for (const kept of this.#kept) {
      if (kept.leaves <= upTo) kept.mayBeGone = true;
      if (kept.expiry <= upTo) kept.mayBeForgotten = true;
    }
  }

  // A start: believed if it goes on near the last sweep.
  #begins(): void {
    this.#readings = [];
    const nearby = Math.min(DAY, this.#retention / 4);
    this.#isNear = this.#swept > 0 && this.#now <= this.#swept + nearby + this.#slack;
    this.#reads();
  }

  #reads(): void {
    const monotonic = this.#subject.monotonic();
    this.#readings.push({ apart: this.#now - monotonic, monotonic });
    if (this.#sweepsAlways && this.#mayBelieve()) this.#maySweepTo(this.#now);
  }

  /** "It goes on within a day (or a quarter of the retention) of the last sweep, or has been steady, beside the monotonic clock, for an hour." */
  #mayBelieve(): boolean {
    const last = this.#readings.at(-1)!;
    const isSteadySince = (index: number): boolean => {
      const { apart } = this.#readings[index]!;
      return this.#readings
        .slice(index)
        .every((each) => Math.abs(each.apart - apart) <= STEADY + this.#slack);
    };
    if (this.#isNear && isSteadySince(0)) return true;
    return this.#readings.some(
      ({ monotonic }, index) =>
        last.monotonic - monotonic >= HOUR - this.#slack && isSteadySince(index),
    );
  }

  #wrong(what: string): void {
    this.wrongs.push(what);
  }
}
