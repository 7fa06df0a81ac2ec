import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// What takes longest begins first, or it is waited for alone in the end. Without times from an earlier run vitest goes by the size of a file.
const LONGEST =
  /test\/(transport\/uws|transport\/ws|conformance\/|faults\/|client\/(outages|day|difficult-relays)|docs\/client|foreign\/|nips\/reference)/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const [long, short] = [true, false].map((isLong) =>
      sorted.filter(({ moduleId }) => LONGEST.test(moduleId) === isLong),
    );
    return [...(long ?? []), ...(short ?? [])];
  }
}

export default defineConfig({
  test: {
    // `npm run faults` runs nothing else.
    include: process.env["FAULTS"] === "long" ? ["test/faults/*.test.ts"] : ["test/**/*.test.ts"],
    // A relay is started for most tests, on two cores.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // They mostly wait.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
  },
});
