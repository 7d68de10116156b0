#include "report/page_style.hpp"

namespace microtome::report {

// Text stands in a column of about 70 letters with a margin to its right, where the captions of figures are;
// on less than 62rem the margin goes and captions come below. Paper is always light.
const char* const kPageStyle = R"css(
:root {
  --paper: #fefdfb; --card: #f5f2ec; --ink: #1c1e21; --muted: #5b6067; --line: #dcd8cf; --link: #0a5f9e;
  --good: #00704f; --bad: #b8400e; --caution: #7d6200;
  --series-1: #0a5f9e; --series-2: #c04a0b; --series-3: #00775a;
  --series-4: #96407f; --series-5: #7d6200; --series-6: #4b5563;
  --text: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", sans-serif;
  --book: Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype", Cambria, Georgia, "Noto Serif",
    "Liberation Serif", serif;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --card: #1f2226; --ink: #e9e7e2; --muted: #a4a9b0; --line: #363a40; --link: #7dbdf0;
    --good: #4fcba0; --bad: #ff9566; --caution: #e3c04f;
    --series-1: #6fb7f2; --series-2: #ff9a60; --series-3: #4fcba0;
    --series-4: #e39ad0; --series-5: #e3c04f; --series-6: #b3bac4;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3.5rem 1.5rem 3rem; max-width: 65rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--text); overflow-wrap: break-word; font-variant-numeric: lining-nums;
}
header, main, footer { max-width: 62rem; margin: 0 auto; }
p, ul, ol, h1, h2, h3, .callout, details { max-width: 44rem; }
p { margin: 0 0 .9rem; }
ul, ol { margin: 0 0 .9rem; padding-left: 1.2rem; }
li { margin: .25rem 0; }
a { color: var(--link); }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
  overflow-wrap: anywhere; }
small { font-size: .85em; }
.muted { color: var(--muted); }
.good { color: var(--good); } .bad { color: var(--bad); } .caution { color: var(--caution); }

h1, h2, h3, .lead, .value { font-family: var(--book); font-weight: 600; line-height: 1.2; text-wrap: balance; }
.kicker { margin: 0 0 .7rem; color: var(--muted); font-size: .8rem; letter-spacing: .09em; text-transform: uppercase; }
h1 { margin: 0 0 1rem; font-size: clamp(1.9rem, 1.3rem + 2.6vw, 2.9rem); letter-spacing: -.012em; }
h2 { margin: 0 0 1rem; padding-top: 1.1rem; font-size: 1.55rem; }
h3 { margin: 2rem 0 .6rem; font-size: 1.15rem; }
.lead { margin: 0 0 1.2rem; font-size: 1.25rem; font-weight: 400; line-height: 1.45; text-wrap: pretty; }
main > section { margin-top: 3.2rem; border-top: 1px solid var(--line); }
main > section.top { margin-top: 1.6rem; border-top: 0; }

dl { margin: 0; } dd { margin: 0; }
.answers > div { display: grid; grid-template-columns: 10.5rem minmax(0, 33.5rem); gap: 0 1rem;
  padding: 1rem 0 .1rem; border-top: 1px solid var(--line); max-width: 44rem; }
.answers dt { font-weight: 600; }
.answers ul { padding-left: 1.1rem; } .answers li:first-child { margin-top: 0; }
.key-figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: 1.4rem 2rem;
  margin: 1.8rem 0; padding: 1.3rem 1.5rem; background: var(--card); border-radius: .4rem; }
.key-figures dt { font-size: .9rem; font-weight: 600; }
.key-figures dd > span { display: block; font-size: .87rem; font-variant-numeric: tabular-nums; }
.key-figures .value { margin: .1rem 0; font-size: 2.5rem; font-weight: 400; line-height: 1.15; }
.key-figures .muted { line-height: 1.4; margin-top: .15rem; }

nav ol { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: 2.2rem 0 0; padding: .9rem 0 0; list-style: none;
  max-width: none; border-top: 1px solid var(--line); font-size: .92rem; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }

.callout { margin: 1.2rem 0; padding: .8rem 1.1rem; background: var(--card); border-left: .3rem solid; border-radius: .15rem; }
.callout p { margin: .25rem 0 0; } .callout .callout-title { margin: 0; font-weight: 600; }
.good-box { border-color: var(--good); } .bad-box { border-color: var(--bad); } .caution-box { border-color: var(--caution); }

.table { margin: 1.3rem 0 1.8rem; max-width: 100%; overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; line-height: 1.4; font-variant-numeric: tabular-nums lining-nums; }
caption { padding: 0 0 .5rem; text-align: left; font-weight: 600; caption-side: top; }
th, td { padding: .42rem 1.5rem .42rem 0; text-align: left; vertical-align: baseline; font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-bottom: 1px solid var(--muted); color: var(--muted); font-size: .85rem; vertical-align: bottom; }
tbody th, tbody td { border-bottom: 1px solid var(--line); }
th.number, td.number { text-align: right; }
td.number { white-space: nowrap; }
td.number small { color: var(--muted); margin-left: .15em; }
tbody th { min-width: 7.5rem; max-width: 22rem; }
td { max-width: 34rem; }
td b.good, td b.bad, td b.caution { white-space: nowrap; }

figure { margin: 0; }
.figure { display: grid; grid-template-columns: minmax(0, 44rem) minmax(0, 1fr); gap: 1.75rem; margin: 1.6rem 0 2.2rem; }
figcaption { color: var(--muted); font-size: .87rem; line-height: 1.45; }
.figure > figcaption { padding-top: .3rem; max-width: 34rem; }
.plot { display: block; max-width: 100%; height: auto; font-family: var(--text); font-variant-numeric: tabular-nums; overflow: visible; }
.on-narrow { display: none; }
.side-by-side { display: flex; flex-wrap: wrap; gap: 1.5rem 1.5rem; }

img { display: block; max-width: 100%; height: auto; background: #808080; }
.pixels { image-rendering: pixelated; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr)); gap: 1.1rem 1rem; }
.samples img { width: 100%; border: .25rem solid; border-radius: .2rem; margin-bottom: .3rem; }
.right { border-color: var(--good) !important; } .wrong { border-color: var(--bad) !important; }
.sample figcaption, .panel { font-size: .82rem; line-height: 1.35; color: var(--ink); overflow-wrap: anywhere; }
.strips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.8rem 1.6rem; }
.strip { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .35rem .5rem; align-content: start; }
.strip-title { grid-column: 1 / -1; margin: 0; font-size: .9rem; font-weight: 600; }
.strip-title .muted { font-weight: 400; }
.panel img { width: 100%; margin: .2rem 0 .3rem; border-radius: .2rem; }
.panel > span { display: block; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.4rem; }
.picture { flex: 0 1 16rem; min-width: 0; } .picture img { width: 100%; border-radius: .2rem; margin-bottom: .4rem; }

details { margin: 1rem 0; max-width: none; }
summary { cursor: pointer; color: var(--link); }
details > div { padding-top: .6rem; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--muted); font-size: .85rem; }
footer dl > div { display: grid; grid-template-columns: 8rem minmax(0, 1fr); gap: 0 1rem; padding: .12rem 0; }

@media (max-width: 62rem) {
  .figure { display: block; } .figure > figcaption { padding-top: .7rem; }
}
@media screen and (max-width: 46rem) {
  body { padding: 1.8rem 1rem 2rem; }
  .on-wide { display: none; } .on-narrow { display: block; }
  .answers > div { display: block; padding-top: .8rem; } .answers dt { margin-bottom: .2rem; }
  .key-figures { grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); padding: 1rem 1.1rem; gap: 1.1rem 1.2rem; }
  .key-figures .value { font-size: 2rem; }
  .samples { grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); gap: .9rem .7rem; }
  th, td { padding-right: .7rem; }
  td.number small { display: block; margin: 0; }
  table { font-size: .88rem; }
  tbody th { min-width: 5rem; }
  footer dl > div { display: block; padding: .25rem 0; }
}
@media print {
  @page { margin: 15mm 15mm 16mm; }
  html { font-size: 12.5px; }
  body { padding: 0; max-width: none; background: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  nav { display: none; }
  main > section { margin-top: 1.6rem; }
  section.top + nav + section, section.top + section { break-before: page; border-top: 0; margin-top: 0; }
  h2, h3, caption { break-after: avoid; }
  .figure, .callout, .strip, .sample, .picture, .key-figures, tr, .answers > div { break-inside: avoid; }
  thead { display: table-header-group; }
  .table { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
  p, li { orphans: 3; widows: 3; }
  a { color: inherit; }
}
)css";

}  // namespace microtome::report
