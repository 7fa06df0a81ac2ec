import { secretSigner } from "../client/client.ts";
import { HTTP_AUTHORIZATION } from "../nostr/kinds.ts";
import { CliError, DONE } from "./failure.ts";
import { loadSecret } from "./key-file.ts";
import { NO_URL_TO_AUTHORIZE } from "./messages.ts";
import type { Terminal } from "./terminal.ts";

export type AuthorizeOptions = {
  readonly key: string | undefined;
  readonly url: string | undefined;
  /** Default: GET. */
  readonly method: string | undefined;
  readonly json: boolean;
};

/** `deaddrop keys auth`: the value of an Authorization header (NIP-98) for one request, good for a minute. Answers the exit code. */
export async function authorize(options: AuthorizeOptions, terminal: Terminal): Promise<number> {
  const { url = "", method = "GET", json } = options;
  // A part behind # is the client's own and never sent.
  if (!/^https?:\/\//.test(url) || !URL.canParse(url) || url.includes("#")) {
    throw new CliError(NO_URL_TO_AUTHORIZE);
  }
  const { secret } = await loadSecret(terminal, options);
  const event = await secretSigner(secret).sign({
    kind: HTTP_AUTHORIZATION,
    created_at: Math.floor(Date.now() / 1_000),
    tags: [
      ["u", url],
      ["method", method.toUpperCase()],
    ],
    content: "",
  });
  const authorization = `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
  terminal.stdout.write(`${json ? JSON.stringify({ authorization }) : authorization}\n`);
  return DONE;
}
