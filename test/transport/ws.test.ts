import { fileURLToPath } from "node:url";

import { transportContract } from "./contract.ts";
import { startFixture } from "./process.ts";

const FIXTURE = fileURLToPath(new URL("fixture.ts", import.meta.url));

transportContract("ws", (settings) => startFixture(process.execPath, [FIXTURE, "ws"], settings), {
  slowHandshake: { settings: { handshakeSeconds: 1 }, withinMs: 10_000 },
  headTakes: [],
  isLenient: true,
  afterStop: "answered",
  isIntroduced: true,
});
