// What a request's head means, on either transport.

/** Said with every answer: it is what its Content-Type says, and no browser is to guess another type. */
export const NO_GUESS = { "x-content-type-options": "nosniff" };

/** Whether a head asks for a WebSocket (RFC 6455, 4.2.1). Any other upgrade may be ignored, and the request not (RFC 9110, 7.8). */
export function asksForWebSocket(
  method: string | undefined,
  connection: string | undefined,
  upgrade: string | undefined,
): boolean {
  return method === "GET" && lists(connection, "upgrade") && lists(upgrade, "websocket");
}

function lists(header: string | undefined, token: string): boolean {
  return (header ?? "").split(",").some((part) => part.trim().toLowerCase() === token);
}

/** The target without scheme and host, where it has them (RFC 9112, 3.2.2). */
export function originForm(target: string): string {
  const rest = target.replace(/^https?:\/\/[^/?#]+/i, "");
  return rest === "" || rest.startsWith("?") ? `/${rest}` : rest;
}
