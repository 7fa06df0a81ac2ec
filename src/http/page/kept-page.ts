import { hostOf, readUrl } from "../../nostr/url.ts";
import type { HttpResponse } from "../../transport/transport.ts";
import { respond } from "../respond.ts";
import { page, type PageParts } from "./page.ts";
import { PROTECTION } from "./style.ts";

export type Asked = Pick<PageParts, "information" | "state" | "takesDrops"> & {
  /** All URLs by which the relay is known, the first of them first. */
  readonly urls: readonly string[];
  /** The Host header. What it names is shown only if it is one of these URLs'. */
  readonly host: string | undefined;
};

type Kept = { readonly made: string; readonly answer: HttpResponse };

/**
 * Answers with the page, which is made once for each of the relay's URLs by which readers come, and made again when what it says has changed. Undefined when
 * the relay is known by no URL.
 */
export function keptPage(): (asked: Asked) => HttpResponse | undefined {
  const kept = new Map<string, Kept>();
  return ({ urls, host, ...said }) => {
    const url = urls.find((own) => hostOf(own) === hostOf(host ?? "")) ?? urls[0];
    if (url === undefined) return undefined;
    const otherUrls = urls.filter((other) => other !== url);
    const parts = { ...said, url, otherUrls, base: baseOf(url) };
    const made = JSON.stringify(parts);
    const before = kept.get(url);
    if (before?.made === made) return before.answer;
    const answer = respond(200, HEADERS, page(parts));
    kept.set(url, { made, answer });
    return answer;
  };
}

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  // A minute in the reader's browser, and in no cache that others share: one that passes over Vary would answer Nostr clients with it.
  "cache-control": "private, max-age=60",
  vary: "accept",
  ...PROTECTION,
};

// As clients write it on the wire: percent-encoded, without dot segments, query and fragment.
function baseOf(url: string): string {
  return new URL(`http://relay${readUrl(url)?.target ?? ""}`).pathname.replace(/\/+$/, "");
}
