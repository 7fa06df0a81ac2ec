import { Client } from "./client.ts";
import { ephemeralWrap, giftWrap } from "./events.ts";
import { person } from "./people.ts";

/** Resolves when all that was answered has been brought to whoever listens: what follows it has. */
export async function delivered(url: string): Promise<void> {
  const last = person();
  const client = await (await Client.connect(url)).authenticate(last);
  await client.request("last", {});
  await client.publish(giftWrap({ to: last }));
  await client.hear();
  await client.publish(ephemeralWrap({ to: last }));
  await client.hear();
  client.end();
}
