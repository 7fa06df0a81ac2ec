// When the configuration is read again: when SIGHUP asks for it, and when its file is another one.
//
// - The folder is watched and not the file, for editors put a new file in the place of the old one. What counts is what stands in it: links that lead
//   elsewhere, as in Kubernetes, are followed, and a file that is written again as it was is none.
// - A bad file changes nothing, and neither does one that is gone: the log says where it is bad, and the old configuration stays in force.

import { type FSWatcher, watch } from "node:fs";
import { dirname, resolve } from "node:path";

import { ConfigError, type ConfigurationSource, textIn } from "../config/load.ts";
import type { Changes } from "../config/run-time.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../relay/observer.ts";

export type ReloadingParts = {
  readonly source: ConfigurationSource;
  readonly reload: (wanted: Config) => Promise<Changes>;
  /** Of these settings, those whose value a decision gives. */
  readonly overruled: (settings: readonly string[]) => readonly string[];
  readonly log: Log;
};

// Between two looks into the file, however often its folder changes; and for an editor to end what it does.
const LOOK_MS = 200;

export class Reloading {
  readonly #parts: ReloadingParts;
  readonly #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #seen: string | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(parts: ReloadingParts) {
    this.#parts = parts;
    this.#seen = parts.source.text;
    this.#watcher = this.#watch();
    this.#lookSoon();
  }

  /** Reads the configuration again, whatever is in it. */
  ask(): void {
    const { file } = this.#parts.source;
    const text = textIn(file);
    if (text === undefined && this.#seen !== undefined) {
      this.#parts.log.error(
        { file },
        "the configuration cannot be read any more, and nothing changes",
      );
      return;
    }
    this.#seen = text;
    this.#reading = this.#reading.then(() => this.#reload());
  }

  /** Looks at nothing any more. */
  close(): void {
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  async #reload(): Promise<void> {
    const { source, reload, overruled, log } = this.#parts;
    const { file } = source;
    try {
      const { applied, waiting } = await reload(source.load());
      const others = overruled(applied);
      const details = {
        file,
        applied,
        ...(others.length > 0 && { overruled: others }),
        ...(waiting.length > 0 && { waiting }),
      };
      if (waiting.length === 0) log.info(details, "the configuration was read again");
      else log.warn(details, "the configuration was read again; some of it waits for a restart");
    } catch (error) {
      if (!(error instanceof ConfigError)) {
        log.error({ file, err: error }, "the configuration was not taken up, and nothing changes");
        return;
      }
      const { message: why, lines } = error;
      log.error(
        { file, ...(lines.length > 0 && { lines }), why },
        "the configuration is wrong, and nothing changes",
      );
    }
  }

  #watch(): FSWatcher | undefined {
    const { source, log } = this.#parts;
    const untold = (error: unknown): void => {
      const { message: why } = error as Error;
      log.warn({ file: source.file, why }, "the configuration is not watched; SIGHUP reads it");
    };
    try {
      const folder = dirname(resolve(source.file));
      const watcher = watch(folder, { persistent: false }, () => this.#lookSoon());
      watcher.on("error", untold);
      return watcher;
    } catch (error) {
      untold(error);
      return undefined;
    }
  }

  #lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const text = textIn(this.#parts.source.file);
      if (text !== this.#seen && text !== undefined) this.ask();
    }, LOOK_MS).unref();
  }
}
