import { encodeQR } from "qr";

import { html, type Markup } from "./markup.ts";

// More makes modules that a camera does not tell apart at this size, and a page that is not small any more.
const MAX_BYTES = 300;
// ISO/IEC 18004: the quiet zone around a symbol, in modules.
const QUIET = 4;

/** A text as a QR code, black on white whatever is around it; undefined when it is too long for one that can be read from a screen. */
export function qrCode(text: string, label: string): Markup | undefined {
  if (Buffer.byteLength(text) > MAX_BYTES) return undefined;
  const rows = encodeQR(text, "raw", { ecc: "medium", border: QUIET });
  const side = rows.length;
  return html`<svg class="qr" viewBox="0 0 ${side} ${side}" role="img" aria-label="${label}">
    <path fill="#fff" d="M0 0h${side}v${side}H0z" />
    <path stroke="#000" d="${rows.map(lineOf)}" />
  </svg>`;
}

// The dark runs of a row as a path whose stroke is one module high.
function lineOf(row: readonly boolean[], index: number): string {
  const runs =
    row
      .map((isDark) => (isDark ? "#" : "-"))
      .join("")
      .match(/#+|-+/g) ?? [];
  const line = runs.map((run) => (run.startsWith("#") ? `h${run.length}` : `m${run.length} 0`));
  return `M0 ${index}.5${line.join("")}`;
}
