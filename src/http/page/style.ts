import { createHash } from "node:crypto";

/** The look of the page: the fonts of the reader's system, one column, one accent, and the colours that the reader's system asks for. */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fbfaf7;--raised:#fff;--ink:#1d1f21;--quiet:#5c6166;--line:#e0ddd5;--accent:#1f5f4a;--bad:#9a3412}
@media(prefers-color-scheme:dark){:root{--paper:#141517;--raised:#1c1e21;--ink:#e4e2dc;--quiet:#a0a4a8;--line:#33363b;--accent:#7cc7a9;--bad:#f2a07b}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;overflow-wrap:anywhere}
main{max-width:42rem;margin:0 auto;padding:3.5rem 1.25rem 4rem}
h1,h2{font-family:Charter,"Bitstream Charter","Iowan Old Style","Palatino Linotype",Georgia,serif;font-weight:600;line-height:1.2;text-wrap:balance}
h1{font-size:2.25rem;margin:.75rem 0 .5rem}
h2{font-size:1.375rem;margin:3rem 0 .75rem}
p,ul,ol,dl{margin:.75rem 0}
ul,ol{padding-left:1.25rem}
li{margin:.4rem 0}
li::marker{color:var(--quiet)}
a{color:var(--accent);text-underline-offset:.18em}
a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:3px}
code,pre{font:.9375em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{margin:.5rem 0;padding:.75rem 1rem;background:var(--raised);border:1px solid var(--line);border-radius:.375rem;white-space:pre-wrap}
.all{-webkit-user-select:all;user-select:all}
.state{margin:0;color:var(--accent);font-size:.9375rem}
.state::before{content:"";display:inline-block;width:.55em;height:.55em;margin-right:.5em;border-radius:50%;background:currentColor}
.bad{color:var(--bad)}
.lead{font-size:1.1875rem;white-space:pre-line}
.quiet,footer{color:var(--quiet);font-size:.9375rem}
.card{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:center;margin:1rem 0 1.5rem;padding:1.25rem;background:var(--raised);border:1px solid var(--line);border-radius:.5rem}
.card>div{flex:1 1 15rem;min-width:0}
.card p{margin:.25rem 0}
.url{font-size:1.1875rem}
.qr{flex:none;border:1px solid var(--line);width:11rem;height:11rem;border-radius:.25rem;shape-rendering:crispEdges}
.pair{display:grid;gap:0 2rem}
h3{margin:.75rem 0 0;font-size:1rem}
dl{border-top:1px solid var(--line)}
dl>div{display:grid;gap:0 1.5rem;padding:.55rem 0;border-bottom:1px solid var(--line)}
dt{color:var(--quiet)}
dd{margin:0}
summary{cursor:pointer;color:var(--accent)}
footer{margin-top:3.5rem;padding-top:1rem;border-top:1px solid var(--line)}
@media(min-width:40rem){main{padding-top:5rem}.pair{grid-template-columns:1fr 1fr}dl>div{grid-template-columns:12rem 1fr}}
`;

// Everything that the page may load, and where it may be shown: its own style, its own icon, nowhere inside another page.
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The headers under which the page has to be sent: no scripts, nothing from elsewhere, and no word to others about who came from here. */
export const PROTECTION = {
  "content-security-policy": POLICY,
  "referrer-policy": "no-referrer",
};
