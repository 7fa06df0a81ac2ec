import type { Check } from "../check.ts";
import { must } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";
import { probes } from "./probes.ts";

export const countChecks: readonly Check[] = [
  nipCheck({
    id: "count/own",
    nip: "45",
    sentence: 'Counts are returned using a `COUNT` response in the form `{"count": <integer>}`.',
    needs: [45],
    title: "counts what a REQ with the same filters returns",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      const p = { "#p": [to.key] };
      const empty = await reader.count([p]);
      must(empty.count === 0, `an empty box: ${empty.text}`);
      const drops = [context.wrap({ to }), ...context.oneOfEach({ to })];
      await context.drop(...drops);
      const wraps = drops.filter(({ kind }) => kind === 1059).length;
      const expectations = [
        [[p], drops.length],
        [[{ ...p, kinds: [1059] }], wraps],
        [
          [
            { ...p, kinds: [4] },
            { ...p, kinds: [1059] },
          ],
          drops.length,
        ],
        [[{ ...p, kinds: [1] }], 0],
      ] as const;
      for (const [filters, expected] of expectations) {
        const { count, text } = await reader.count(filters);
        must(count === expected, `${JSON.stringify(filters)}: ${text}, not ${expected}`);
      }
    },
  }),
  deadDropCheck({
    id: "count/unauthenticated",
    covers: ["pickup-2"],
    needs: [45],
    title: "closes a COUNT of a connection that is not authenticated with auth-required:",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const nobody = await context.open("nobody");
      const asked = probes(drop, to).map(async (filter) => {
        const { closed, text } = await nobody.count([filter]);
        must(closed?.startsWith("auth-required:") === true, `${JSON.stringify(filter)}: ${text}`);
      });
      await Promise.all(asked);
    },
  }),
  deadDropCheck({
    id: "count/foreign-p",
    covers: ["pickup-12"],
    needs: [45],
    title: "closes a COUNT that names other keys only with restricted:",
    async run(context) {
      const to = context.person();
      await context.drop(context.wrap({ to }));
      const stranger = await context.as("stranger", context.person());
      const { closed, text } = await stranger.count([{ kinds: [1059], "#p": [to.key] }]);
      must(closed?.startsWith("restricted:") === true, `it was answered with ${text}`);
    },
  }),
  deadDropCheck({
    id: "count/probes",
    covers: ["pickup-3", "pickup-12"],
    needs: [45],
    title: "counts somebody else's drop for no filter",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop, context.wrap({ to }));
      const stranger = await context.as("stranger", context.person());
      for (const filter of probes(drop, to)) {
        const { count, text } = await stranger.count([filter]);
        must((count ?? 0) === 0, `${JSON.stringify(filter)}: ${text}`);
      }
    },
  }),
  deadDropCheck({
    id: "count/own-and-foreign",
    covers: ["pickup-6", "pickup-5"],
    needs: [45],
    title: "counts one's own drops alone when a filter names others too, or nobody",
    async run(context) {
      const to = context.person();
      const other = context.person();
      await context.drop(
        context.wrap({ to }),
        context.wrap({ to: other }),
        context.wrap({ to: other }),
      );
      const recipient = await context.as("recipient", to);
      for (const filter of [{}, { kinds: [1059] }, { "#p": [to.key, other.key] }]) {
        const { count, text } = await recipient.count([filter]);
        must(count === 1, `${JSON.stringify(filter)}: ${text}, not 1`);
      }
    },
  }),
  deadDropCheck({
    id: "count/same-answer",
    covers: ["pickup-12"],
    needs: [45],
    title: "answers a stranger's COUNT the same about a full, an emptied and an unknown box or id",
    async run(context) {
      const [full, emptied, unknown] = [context.person(), context.person(), context.person()];
      const drop = context.wrap({ to: full });
      const gone = context.wrap({ to: emptied });
      const never = context.wrap({ to: unknown });
      await context.drop(drop, gone, context.acknowledgement(emptied, [gone]));
      const stranger = await context.as("stranger", context.person());
      const questions = [
        [full, emptied, unknown].map(({ key }) => ({ "#p": [key] })),
        [drop, gone, never].map(({ id }) => ({ ids: [id] })),
        [drop, gone, never].map(({ pubkey }) => ({ authors: [pubkey] })),
      ];
      for (const filters of questions) {
        const answers = new Set<string>();
        for (const filter of filters) answers.add((await stranger.count([filter], "probe")).text);
        must(answers.size === 1, `the answers differ: ${[...answers].join(" and ")}`);
      }
    },
  }),
  deadDropCheck({
    id: "count/acknowledged",
    covers: ["ack-3"],
    needs: [45],
    title: "does not count what was acknowledged",
    async run(context) {
      const to = context.person();
      const drops = [context.wrap({ to }), context.wrap({ to })] as const;
      await context.drop(...drops, context.acknowledgement(to, [drops[0]]));
      const recipient = await context.as("recipient", to);
      const { count, text } = await recipient.count([{}]);
      must(count === 1, `two drops, one acknowledged: ${text}`);
    },
  }),
];
