import type { NostrEvent } from "../../nostr/event.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { nipCheck } from "./define.ts";

/** The filters of NIP-01: what each condition matches. */
export const filterChecks: readonly Check[] = [
  nipCheck({
    id: "basics/filters",
    nip: "01",
    sentence:
      "All conditions of a filter that are specified must match for an event for it to pass the filter",
    title: "matches ids, authors, kinds, tags, since and until, and all of them at once",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const now = nowSeconds();
      const old = context.wrap({ to, created_at: now - 200, tags: [["t", "old"]] });
      const wrap = context.wrap({ to, created_at: now - 100 });
      const otherKind = context.holds(DIRECT_MESSAGE) ? DIRECT_MESSAGE : GIFT_WRAP;
      const other =
        otherKind === DIRECT_MESSAGE
          ? context.message({ from, to, created_at: now })
          : context.wrap({ from, to, created_at: now });
      const all = [old, wrap, other];
      const of = (wanted: number): NostrEvent[] => all.filter(({ kind }) => kind === wanted);
      await context.drop(...all);
      const reader = await context.reader("recipient", to);
      const p = { "#p": [to.key] };
      const expectations = [
        [{ ...p }, all],
        [{ ...p, ids: [wrap.id] }, [wrap]],
        [{ ...p, ids: [wrap.id, old.id, to.key] }, [wrap, old]],
        [{ ...p, authors: [from.key] }, [other]],
        [{ ...p, kinds: [4] }, of(4)],
        [{ ...p, kinds: [1059] }, of(1059)],
        [{ ...p, kinds: [4, 1059] }, all],
        [{ ...p, kinds: [4], authors: [wrap.pubkey] }, []],
        [{ ...p, since: now - 100 }, [wrap, other]],
        [{ ...p, until: now - 100 }, [old, wrap]],
        [{ ...p, since: now - 150, until: now - 100 }, [wrap]],
        [{ ...p, since: now + 1 }, []],
        [{ ...p, until: 0 }, []],
        [{ ...p, "#t": ["old", "none"] }, [old]],
        [{ ...p, "#t": ["none"] }, []],
      ] as const;
      for (const [filter, events] of expectations) {
        mustBe(JSON.stringify(filter), await reader.pickup(filter), events);
      }
    },
  }),
  nipCheck({
    id: "basics/filters-or",
    nip: "01",
    sentence:
      "A `REQ` message may contain multiple filters. In this case, events that match any of the filters are to be returned",
    title: "returns what matches any of several filters",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const [wrap, other] = [context.wrap({ to }), context.wrap({ from, to })];
      await context.drop(wrap, other, context.wrap({ to }));
      const reader = await context.reader("recipient", to);
      const ids = await reader.pickup(
        { "#p": [to.key], authors: [from.key] },
        { "#p": [to.key], ids: [wrap.id] },
      );
      mustBe("two filters", ids, [wrap, other]);
    },
  }),
  nipCheck({
    id: "basics/limit",
    nip: "01",
    sentence:
      "When `limit: n` is present it is assumed that the events returned in the initial query will be the last `n` events ordered by the `created_at`.",
    title: "returns the newest events first, and no more than the limit",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      context.needsRoom(5);
      const events = [3, 0, 4, 1, 2].map((age) => context.wrap({ to, created_at: now - age * 10 }));
      await context.drop(...events);
      const newest = events.toSorted((a, b) => b.created_at - a.created_at).map(({ id }) => id);
      const reader = await context.reader("recipient", to);
      for (const limit of [1, 3, 5, 100]) {
        const ids = (await reader.pickup({ "#p": [to.key], limit })).join();
        const expected = newest.slice(0, limit).join();
        must(ids === expected, `limit ${limit} returned ${ids}, not ${expected}`);
      }
    },
  }),
  nipCheck({
    id: "basics/limit-live",
    nip: "01",
    sentence:
      "The `limit` property of a filter is only valid for the initial query and MUST be ignored afterwards.",
    title: "goes on beyond the limit with what comes in",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      const subscription = await reader.subscribe({ "#p": [to.key], limit: 1 });
      const events = [context.wrap({ to }), context.wrap({ to }), context.wrap({ to })];
      await context.drop(...events);
      for (const event of events) await reader.delivered(subscription, event);
    },
  }),
  nipCheck({
    id: "basics/exact-hex",
    nip: "01",
    sentence:
      "The `ids`, `authors`, `#e` and `#p` filter lists MUST contain exact 64-character lowercase hex values.",
    title: "finds nothing by the beginning of an id or a key",
    async run(context) {
      const to = context.person();
      const event = context.wrap({ to });
      await context.drop(event);
      const reader = await context.reader("recipient", to);
      const filters = [
        { ids: [event.id.slice(0, 16)] },
        { ids: [event.id.toUpperCase()] },
        { authors: [event.pubkey.slice(0, 16)] },
        { "#p": [to.key.slice(0, 16)] },
      ];
      for (const filter of filters) {
        // To refuse it is as good as to find nothing. An id of digits only has no upper case.
        if (filter.ids?.includes(event.id) === true) continue;
        const { ids } = await reader.request([filter]);
        must(ids.length === 0, `${JSON.stringify(filter)} found an event`);
      }
    },
  }),
];
