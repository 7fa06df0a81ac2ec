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
    async run(trial) {
      const to = trial.person();
      const reader = await trial.reader("recipient", to);
      const p = { "#p": [to.key] };
      const empty = await reader.count([p]);
      must(empty.count === 0, `an empty box: ${empty.text}`);
      await trial.drop(
        trial.wrap({ to }),
        trial.wrap({ to }),
        trial.message({ from: trial.person(), to }),
      );
      const expectations = [
        [[p], 3],
        [[{ ...p, kinds: [1059] }], 2],
        [
          [
            { ...p, kinds: [4] },
            { ...p, kinds: [1059] },
          ],
          3,
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
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      const nobody = await trial.open("nobody");
      for (const filter of probes(drop, to)) {
        const { closed, text } = await nobody.count([filter]);
        must(closed?.startsWith("auth-required:") === true, `${JSON.stringify(filter)}: ${text}`);
      }
    },
  }),
  deadDropCheck({
    id: "count/foreign-p",
    covers: ["pickup-12"],
    needs: [45],
    title: "closes a COUNT that names other keys only with restricted:",
    async run(trial) {
      const to = trial.person();
      await trial.drop(trial.wrap({ to }));
      const stranger = await trial.as("stranger", trial.person());
      const { closed, text } = await stranger.count([{ kinds: [1059], "#p": [to.key] }]);
      must(closed?.startsWith("restricted:") === true, `it was answered with ${text}`);
    },
  }),
  deadDropCheck({
    id: "count/probes",
    covers: ["pickup-3", "pickup-7"],
    needs: [45],
    title: "counts somebody else's drop for no filter",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop, trial.wrap({ to }));
      const stranger = await trial.as("stranger", trial.person());
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
    async run(trial) {
      const to = trial.person();
      const other = trial.person();
      await trial.drop(trial.wrap({ to }), trial.wrap({ to: other }), trial.wrap({ to: other }));
      const recipient = await trial.as("recipient", to);
      for (const filter of [{}, { kinds: [1059] }, { "#p": [to.key, other.key] }]) {
        const { count, text } = await recipient.count([filter]);
        must(count === 1, `${JSON.stringify(filter)}: ${text}, not 1`);
      }
    },
  }),
  deadDropCheck({
    id: "count/same-answer",
    covers: ["pickup-7"],
    needs: [45],
    title: "answers a stranger's COUNT the same about a full, an emptied and an unknown box or id",
    async run(trial) {
      const [full, emptied, unknown] = [trial.person(), trial.person(), trial.person()];
      const drop = trial.wrap({ to: full });
      const gone = trial.wrap({ to: emptied });
      const never = trial.wrap({ to: unknown });
      await trial.drop(drop, gone, trial.acknowledgement(emptied, [gone]));
      const stranger = await trial.as("stranger", trial.person());
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
    async run(trial) {
      const to = trial.person();
      const drops = [trial.wrap({ to }), trial.wrap({ to })] as const;
      await trial.drop(...drops, trial.acknowledgement(to, [drops[0]]));
      const recipient = await trial.as("recipient", to);
      const { count, text } = await recipient.count([{}]);
      must(count === 1, `two drops, one acknowledged: ${text}`);
    },
  }),
];
