// A process for the tests: closes its pool at the moment when a lost thread is being replaced. It ends when nothing is left that runs.

import { Pool } from "../../src/verify/pool.ts";

const module = new URL("answering.ts", import.meta.url);
const data = { folder: process.argv[2] };
const pool = await Pool.start({ workers: 1, module, data, waiting: 10 }, { workerLost: () => {} });
await pool.ask("exit");
await pool.close();
