// What a person with a browser reads at `/`. All that it says of this relay comes from the document that programs read (NIP-11); what it says of the
// software is what README.md promises and SECURITY.md admits, in plain words. It names no other host but the operator's own, and runs nothing.

import { npubEncode } from "nostr-tools/nip19";

import type { RelayInformation } from "../information.ts";
import { html, Markup } from "./markup.ts";
import { qrCode } from "./qr-code.ts";
import { STYLE } from "./style.ts";
import { durationOf, numberOf, sizeOf } from "./units.ts";

export type PageParts = {
  readonly information: RelayInformation;
  /** How the relay is, in the words of /readyz. */
  readonly state: string;
  readonly takesDrops: boolean;
  /** The URL by which the reader came, of those that the relay is known by, and where it has others those. */
  readonly url: string;
  readonly otherUrls: readonly string[];
  /** The path below which the reader finds the relay, without a slash at its end. */
  readonly base: string;
};

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%231f5f4a' d='M1 3h14v10H1z'/%3E%3Cpath fill='none' stroke='%23fff' stroke-width='1.5' d='M1 3.5l7 5.5 7-5.5'/%3E%3C/svg%3E";

const NAMELESS = "A Nostr relay";
// Made in one piece, since the policy is about every character of it.
const LOOK = new Markup(`<style>${STYLE}</style>`);

// What a contact may be to become a link; all else is shown as it is written.
const LINKED = /^(?:https?:\/\/|mailto:|nostr:)/i;

/** The page as HTML. */
export function page(parts: PageParts): string {
  const { information, state, takesDrops, base } = parts;
  const { name, description } = information;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${name || NAMELESS}</title>
        <link rel="icon" href="${ICON}" />
        ${LOOK}
      </head>
      <body>
        <main>
          <p class="state${takesDrops ? "" : " bad"}">Right now: ${state}</p>
          <h1 dir="auto">${name || NAMELESS}</h1>
          <p class="lead" dir="auto">${description}</p>
          <p>
            This is a relay for private messages on Nostr. It holds encrypted messages for people
            who are offline, only until they pick them up. Sending takes no account, reading the key
            that a message is for.
          </p>
          ${adding(parts)} ${promises(information)} ${SIGHT} ${figures(information)}
          ${operator(information)}
          <footer>
            <p>
              Version ${information.version}; speaks NIPs ${information.supported_nips.join(", ")}.
              For programs:
              <a href="${base}/openapi.json">the HTTP door</a>,
              <a href="${base}/readyz">whether it is ready</a>, and this address with
              <code>Accept: application/nostr+json</code>. This page runs no scripts, sets no
              cookies and loads nothing from elsewhere.
            </p>
            <details>
              <summary>What it tells programs (NIP-11)</summary>
              <pre>${toldOf(information)}</pre>
            </details>
          </footer>
        </main>
      </body>
    </html> `.toString();
}

function adding({ url, otherUrls }: PageParts): Markup {
  return html`<h2>Receive your messages here</h2>
    <div class="card">
      ${qrCode(url, `QR code of ${url}`)}
      <div>
        <p class="quiet">Its address</p>
        <p class="url"><code class="all">${url}</code></p>
        ${
          otherUrls.length === 0
            ? undefined
            : html`<p class="quiet">Also known as</p>
                ${otherUrls.map((other) => html`<p><code class="all">${other}</code></p>`)}`
        }
      </div>
    </div>
    <ol>
      <li>Copy the address, or scan the code.</li>
      <li>
        In your Nostr client, open the settings for relays and find the ones for private messages;
        clients call them <em>DM relays</em> or <em>inbox relays</em>. Add the address and save. The
        client publishes the list (kind 10050), and that is where others learn to leave their
        messages here.
      </li>
      <li>
        Keep one or two other relays in that list: this is one machine, and no single one can
        promise that nothing is ever lost.
      </li>
      <li>
        Allow the client to sign in when the relay asks (NIP-42). That is how it knows that a
        message is for you; without it nothing is shown.
      </li>
      <li>Send a message to yourself, and see that it arrives. A refusal says why.</li>
    </ol>
    <p>
      The client has to speak NIP-17. With the command <code>deaddrop</code>, which comes with this
      relay’s software:
    </p>
    <pre class="all">
deaddrop relays set ${quoted(url)}
deaddrop watch --ack</pre>
    <p class="quiet">
      The first names all the relays where you receive, so add your others to the line. The second
      shows what is held and what comes, and lets the relay forget what it showed.
    </p>`;
}

function promises({
  dead_drop: { author_deletes_wraps: authorsDelete },
}: RelayInformation): Markup {
  return html`<h2>What it promises</h2>
    <ul>
      <li>
        <strong>Accepted means on disk.</strong> When a sender is told OK, the message would survive
        a power cut.
      </li>
      <li>
        <strong>Only the recipient.</strong> Nobody else can read a message, count them, or find out
        whether there are any.
      </li>
      <li>
        <strong>Acknowledged is gone.</strong> Once you say that you have a message, the relay shows
        it to nobody again, whoever sends it once more.
      </li>
      <li>
        <strong>Nothing is pushed out.</strong> When something is full, the new message is refused
        and its sender told. One that is held leaves when you acknowledge it or when its time is up;
        ${authorsDelete ? "its author may take it back, too" : "only one of the old form (kind 4) can be taken back by its author"}.
      </li>
      <li>
        <strong>Nothing is kept.</strong> Acknowledgements are acted on and not stored or shown.
        Logs and figures name no recipient and no network address.
      </li>
    </ul>
    <p class="quiet">
      Not promised: that a copy of the disk, made before you picked up, forgets; that whoever runs
      this machine runs this software unchanged; that one relay alone never loses anything.
    </p>`;
}

const SIGHT = html`<h2>What the operator can see</h2>
  <div class="pair">
    <div>
      <h3>Can</h3>
      <ul>
        <li>
          for whom a message is (a public key), how large it is, the time written on it, and until
          when it is held
        </li>
        <li>which keys are connected and when they pick up</li>
        <li>the network address of whoever connects, to send or to receive; Tor hides it</li>
        <li>
          that who sends and who reads are the same, where a client does both over one connection
        </li>
        <li>who wrote a message of the old form (kind 4)</li>
        <li>
          part of the number of a message that was acknowledged, until some hours after its time is
          up
        </li>
      </ul>
    </div>
    <div>
      <h3>Cannot</h3>
      <ul>
        <li>what a message says: it is encrypted before it leaves the sender’s device</li>
        <li>
          who wrote a gift-wrapped message (NIP-17): nobody who only sends is asked who they are
        </li>
      </ul>
    </div>
  </div>
  <p class="quiet">
    Other people learn nothing of your messages here, but for a sender who is told that your box is
    full. Each message is encrypted on disk once more, with a key that is destroyed when it is gone.
  </p>`;

function figures({ dead_drop: drops, limitation }: RelayInformation): Markup {
  const work = Number(limitation["min_pow_difficulty"] ?? 0);
  const rows: [string, string][] = [
    [
      "How long it holds a message",
      `until you acknowledge it, or until the time that its sender set; at most ${durationOf(drops.retention)}, counted from ${durationOf(drops.timestamp_fuzz)} after the time written on it, for senders move that back by up to as much`,
    ],
    ["One message", `at most ${sizeOf(drops.max_event_bytes)}, encrypted and wrapped`],
    [
      "One recipient",
      `at most ${numberOf(drops.max_drops)} messages or ${sizeOf(drops.max_bytes)} held at a time; whoever sends more is told to wait`,
    ],
    ["Proof of work", work === 0 ? "none is asked for" : `${work} bits (NIP-13)`],
    [
      "Price",
      limitation["payment_required"] === true
        ? "the relay asks for a payment"
        : "none is asked for",
    ],
  ];
  return html`<h2>Limits</h2>
    <dl>
      ${rows.map(
        ([term, meaning]) =>
          html`<div>
            <dt>${term}</dt>
            <dd>${meaning}</dd>
          </div>`,
      )}
    </dl>`;
}

function operator({ pubkey, contact }: RelayInformation): Markup {
  if (pubkey === undefined && contact === undefined) {
    return html`<h2>Who runs it</h2>
      <p>The operator has not said.</p>`;
  }
  const npub = pubkey === undefined ? undefined : npubEncode(pubkey);
  return html`<h2>Who runs it</h2>
    <dl>
      ${
        npub === undefined
          ? undefined
          : html`<div>
              <dt>Nostr key</dt>
              <dd>
                <a href="nostr:${npub}"><code>${npub}</code></a>
              </dd>
            </div>`
      }${
        contact === undefined
          ? undefined
          : html`<div>
              <dt>Contact</dt>
              <dd dir="auto">
                ${LINKED.test(contact) ? html`<a href="${contact}" rel="nofollow">${contact}</a>` : contact}
              </dd>
            </div>`
      }
    </dl>`;
}

// Without what the page says above, in the operator's own words.
function toldOf({ limitation, retention, dead_drop, supported_nips }: RelayInformation): string {
  return JSON.stringify(
    { supported_nips, limitation, retention, dead_drop },
    undefined,
    1,
  ).replaceAll(/\[[\d\s,]*\]/g, (list) => list.replaceAll(/\s+/g, " "));
}

// One word to a shell, whatever stands in a path.
function quoted(url: string): string {
  return /^[\w:/.~[\]-]+$/.test(url) ? url : `'${url.replaceAll("'", String.raw`'\''`)}'`;
}
