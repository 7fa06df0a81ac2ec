import { leadingZeroBits } from "../../nostr/pow.ts";
import type { Check } from "../check.ts";
import { sign } from "../people.ts";
import { must, Skipped } from "../verdict.ts";
import { nipCheck } from "./define.ts";

// An id has the one bit that the least difficulty asks for by chance every other time, and not so many times in a row.
const ATTEMPTS = 200;

export const powChecks: readonly Check[] = [
  nipCheck({
    id: "pow/too-little",
    nip: "13",
    sentence: "`difficulty` is defined to be the number of leading zero bits in the NIP-01 id.",
    needs: [13],
    title: "refuses with pow: an event with less work than min_pow_difficulty",
    async run(context) {
      const { minPowDifficulty } = context;
      if (minPowDifficulty === 0) throw new Skipped("min_pow_difficulty is 0");
      const to = context.person();
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const template = { kind: 1059, tags: [["p", to.key]], content: `conformance ${attempt}` };
        const event = sign(context.person(), template);
        if (leadingZeroBits(event.id) >= minPowDifficulty) continue;
        await context.refused("an event without work", event, "pow:");
        return;
      }
    },
  }),
  nipCheck({
    id: "pow/enough",
    nip: "13",
    sentence: "If the id has the desired number of leading zero bits, the note has been mined.",
    needs: [13],
    title: "accepts an event with the work that min_pow_difficulty asks for",
    async run(context) {
      if (context.minPowDifficulty === 0) throw new Skipped("min_pow_difficulty is 0");
      const event = context.wrap({ to: context.person() });
      must(leadingZeroBits(event.id) >= context.minPowDifficulty, "the suite mined too little");
      await context.drop(event);
    },
  }),
];
