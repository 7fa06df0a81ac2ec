import { Connection } from "./connection.ts";
import type { Session } from "./session.ts";
import { Transcript } from "./transcript.ts";

// However impatient a run is: a relay that is busy with what was asked before is there.
const PATIENCE_MS = 5_000;

/** Why no WebSocket can be opened there, undefined when one can. */
export async function whyUnreachable(session: Session): Promise<string | undefined> {
  const connection = await reach(session);
  if (typeof connection === "string") return connection;
  connection.end();
  return undefined;
}

/**
 * Why nothing can be said of the relay, undefined when something can: nobody takes a WebSocket there, or hangs up at once or at the first word. One that takes it
 * and is silent, or talks nonsense, is there, and the checks say what it does.
 */
export async function whyAbsent(session: Session): Promise<string | undefined> {
  const connection = await reach(session);
  if (typeof connection === "string") return connection;
  try {
    // A REQ that anybody may send, and that any relay answers.
    connection.say("REQ", "presence", { ids: ["0".repeat(64)], limit: 1 });
    await connection.wait("an answer", 0, () => true);
    return undefined;
  } catch (error) {
    return connection.isLost ? (error as Error).message : undefined;
  } finally {
    connection.end();
  }
}

async function reach({ url, patienceMs }: Session): Promise<Connection | string> {
  try {
    return await Connection.open(url, {
      name: "presence",
      transcript: new Transcript(),
      patienceMs: Math.max(PATIENCE_MS, patienceMs),
    });
  } catch (error) {
    return (error as Error).message.replace(
      /Unexpected server response: (\d+)/,
      "it answers with HTTP status $1, not with a WebSocket",
    );
  }
}
