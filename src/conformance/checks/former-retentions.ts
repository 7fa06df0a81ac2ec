import type { Check } from "../check.ts";
import type { Context } from "../context.ts";
import { nowSeconds } from "../people.ts";
import { mustBe, Skipped } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";

// Two clocks, and the time that a slow relay takes.
const MARGIN_SECONDS = 60;

/** A `created_at` in the middle of what has expired under one retention and has not under the other, and to which `former` speaks; undefined when there is none. */
function between(
  context: Context,
  former: { readonly until: number; readonly retention: number },
  { expired, alive }: { readonly expired: number; readonly alive: number },
): number | undefined {
  const { timestampFuzz, formerRetentions } = context.deadDrop;
  const now = nowSeconds();
  const earlier = formerRetentions.filter(({ until }) => until < former.until);
  const first = Math.max(
    now - timestampFuzz - alive + MARGIN_SECONDS,
    ...earlier.map(({ until }) => until + 1),
  );
  const last = Math.min(former.until, now - timestampFuzz - expired - MARGIN_SECONDS);
  return first <= last ? Math.floor((first + last) / 2) : undefined;
}

/** What a relay that has changed its retention still knows of it. */
export const formerRetentionChecks: readonly Check[] = [
  deadDropCheck({
    id: "expiry/former-retentions",
    covers: ["expiry-7", "expiry-4"],
    title: "applies a former retention to every event that could have been accepted under it",
    async run(context) {
      const { formerRetentions, retention } = context.deadDrop;
      if (formerRetentions.length === 0) throw new Skipped("no former_retentions are advertised");
      const to = context.person();
      const held = [];
      let tried = 0;
      for (const former of formerRetentions) {
        const refused = between(context, former, { expired: former.retention, alive: retention });
        if (refused !== undefined) {
          tried++;
          const what = `an event that had expired under the former retention of ${former.retention} s`;
          await context.refused(what, context.wrap({ to, created_at: refused }), "invalid:");
        }
        const kept = between(context, former, { expired: retention, alive: former.retention });
        if (kept !== undefined) {
          tried++;
          const drop = context.wrap({ to, created_at: kept });
          await context.drop(drop);
          held.push(drop);
        }
      }
      if (tried === 0)
        throw new Skipped("no event tells the former retentions from the present one");
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), held);
    },
  }),
];
