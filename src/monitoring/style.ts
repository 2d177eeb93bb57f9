import { markup } from './markup.js';

/** What all pages share: light or dark like the reader's system. */
const BASE = markup`:root { color-scheme: light dark; --bg: #f6f7f8; --panel: #fff; --fg: #1b1f24; --soft: #59636e; --rule: #dfe3e8;
  --ok: #1a7f45; --warn: #8a5300; --bad: #b3261e; --info: #1f5fbf; --idle: #59636e; --bed: #d5dae0; --code: #eef1f4; }
@media (prefers-color-scheme: dark) { :root { --bg: #0f1317; --panel: #161b21; --fg: #e4e8ec; --soft: #9aa5b1; --rule: #2b323a;
  --ok: #4cc287; --warn: #e9b04c; --bad: #ff8a7e; --info: #7cb2ff; --idle: #9aa5b1; --bed: #333c46; --code: #0f1317; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--bg); color: var(--fg);
  font: 0.875rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0; }
p { margin: 0 0 0.5rem; } ul, dl, dd { margin: 0; padding: 0; } ul { list-style: none; }
a { color: var(--info); text-underline-offset: 0.15em; } a:focus-visible, input:focus-visible, [tabindex]:focus-visible, summary:focus-visible { outline: 2px solid var(--info); outline-offset: 2px; }
code, .mono { font: 0.8125rem/1.45 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
.soft { color: var(--soft); } .nowrap { white-space: nowrap; overflow-wrap: normal; }
header { display: flex; flex-wrap: wrap; gap: 0.1rem 1.25rem; align-items: baseline; margin-bottom: 0.6rem; } header p { margin: 0; }
.panel { background: var(--panel); border: 1px solid var(--rule); border-radius: 0.5rem; padding: 0.8rem 1rem; } main > * + * { margin-top: 0.75rem; }
time { white-space: nowrap; }
.ok, .met, .earned, .k-earned { --tone: var(--ok); } .late, .forced, .k-forced, .waived, .wait, .frozen { --tone: var(--warn); }
.broken, .regressed, .silent, .unmet, .rollback, .k-rollback, .reject, .quarantine, .k-quarantine { --tone: var(--bad); } .empty, .unknown, .adopted, .k-adopted, .undecided, .hold, .k-hold, .lift, .k-lift { --tone: var(--idle); } .promote { --tone: var(--info); }
.command { display: block; margin-top: 0.3rem; padding: 0.3rem 0.5rem; background: var(--code); border-radius: 0.3rem; user-select: all; -webkit-user-select: all; }
.badge { display: inline-block; color: var(--tone); border: 1px solid currentColor; border-radius: 0.25rem; padding: 0 0.35em; font-size: 0.75rem; line-height: 1.35; font-weight: 600; white-space: nowrap; overflow-wrap: normal; }
.filter { display: flex; flex-wrap: wrap; gap: 0.1rem 0.9rem; margin: 0 0 0.5rem; padding: 0; border: 0; } .filter legend { float: left; margin-right: 0.9rem; padding: 0; color: var(--soft); } .filter input { margin: 0 0.25rem 0 0; accent-color: var(--info); vertical-align: -0.1em; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.25rem 0.75rem; } dt { color: var(--soft); } .full { user-select: all; }
footer { margin-top: 1.25rem; color: var(--soft); font-size: 0.8125rem; }
@media (max-width: 30rem) { body { padding: 0.6rem; } .panel { padding: 0.6rem; } code, .command { font-size: 0.75rem; } }
@media print { body { background: none; } .panel { break-inside: avoid; } }
`;

/** The first page and a branch's: one column on a phone, two on a desk. */
const STATUS = markup`.vh { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.shapes { position: absolute; width: 0; height: 0; }
.i { width: 1em; height: 1em; vertical-align: -0.125em; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; flex: none; }
summary { cursor: pointer; color: var(--info); padding: 0.2rem 0; }
dl.answers { grid-template-columns: minmax(0, 1fr); }
.card { border-left: 4px solid var(--tone); scroll-margin-top: 0.5rem; }
.state { color: var(--tone); font-weight: 600; }
.chip { display: inline-flex; align-items: center; gap: 0.3em; white-space: nowrap; overflow-wrap: normal; font-size: 0.8125rem; } .chips { display: inline-flex; flex-wrap: wrap; gap: 0 0.9rem; }
.contents { display: flex; flex-wrap: wrap; gap: 0.15rem 1.75rem; } .contents li { display: flex; gap: 0.6rem; align-items: center; } .contents a { font-weight: 600; }
.title { display: flex; flex-wrap: wrap; gap: 0.15rem 1rem; align-items: center; margin-bottom: 0.5rem; } .title h2 a { color: inherit; }
.answers { display: grid; gap: 0.55rem; } .answers > div { display: grid; grid-template-columns: 6rem minmax(0, 1fr); gap: 0 0.75rem; } .answers dt { color: var(--soft); font-weight: 600; }
.answers > div + div { border-top: 1px solid var(--rule); padding-top: 0.55rem; }
.step + .step { margin-top: 0.5rem; } .more { margin: 0.55rem 0 0; font-size: 0.8125rem; }
.strip { display: block; height: 6px; background: linear-gradient(90deg, var(--bed) var(--from), var(--info) 0 var(--to), transparent 0); }
.problems { color: var(--bad); margin: 0 0 0.6rem; } .problems li { display: flex; gap: 0.5rem; } .problems .i { margin-top: 0.2em; }
.columns { display: grid; gap: 1.25rem 2.5rem; grid-template-columns: minmax(0, 1fr); } .columns > div > div + div { margin-top: 1.25rem; }
.details-of h2, .history > h2 { font-size: 0.9375rem; margin: 0 0 0.4rem; padding-bottom: 0.2rem; border-bottom: 1px solid var(--rule); }
.jobs li { display: grid; grid-template-columns: 1rem minmax(0, 1fr); gap: 0 0.5rem; padding: 0.15rem 0; } .jobs .i { color: var(--tone); margin-top: 0.2em; } .jobs .said { grid-column: 2; }
.key { display: flex; flex-wrap: wrap; gap: 0 1rem; margin-top: 0.4rem; font-size: 0.75rem; } .key .i { color: var(--tone); }
.then { border-left: 3px solid var(--rule); padding-left: 0.6rem; margin-top: 0.5rem; }
.scroll { overflow-x: auto; position: relative; }
table { border-collapse: collapse; width: 100%; } th, td { padding: 0.3rem 0.6rem 0.3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { color: var(--soft); font-weight: 600; font-size: 0.75rem; vertical-align: bottom; } tbody th { font-weight: 400; }
tbody tr:last-child > * { border-bottom: 0; }
.num { text-align: right; white-space: nowrap; overflow-wrap: normal; font-variant-numeric: tabular-nums; padding-right: 0; padding-left: 0.6rem; }
table code { font-size: 0.75rem; }
.matrix th[scope=col] + th { text-align: center; padding-inline: 0.3rem; } .matrix thead bdi { display: block; width: max-content; max-width: 11rem; margin: auto; } .warning { color: var(--warn); margin-top: 0.5rem; } .matrix td { padding-right: 0; text-align: center; vertical-align: middle; font-size: 1rem; color: var(--tone); }
.matrix td a { display: inline-block; padding: 0 0.4rem; color: inherit; text-decoration: none; } .matrix sup { font-size: 0.65rem; } .matrix tbody th { width: 100%; min-width: 9rem; } .badge.current { --tone: var(--info); }
.matrix tr.current > th { box-shadow: inset 3px 0 var(--info); padding-left: 0.6rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 42%), 1fr)); gap: 0.6rem 1rem; margin-bottom: 0.75rem; } .figures dd { font-size: 1rem; font-weight: 600; font-variant-numeric: tabular-nums; } .figures dt { font-size: 0.75rem; }
.chart { margin: 0 3.4rem 0.5rem 0.25rem; } .plot { position: relative; height: 7rem; } .plot svg { display: block; width: 100%; height: 100%; overflow: visible; } .plot path { fill: none; vector-effect: non-scaling-stroke; }
.plot span { position: absolute; left: 100%; padding-left: 0.5rem; font-size: 0.7rem; line-height: 1; color: var(--soft); white-space: nowrap; } .plot .top { top: 0; } .plot .mid { transform: translateY(-50%); }
.grid, .base { stroke: var(--rule); stroke-width: 1; } .median { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; }
path.earned, path.forced, path.adopted, path.rollback { stroke: var(--tone); stroke-width: 7; stroke-linecap: round; } path.forced { stroke-linecap: square; stroke-width: 6; } path.rollback { stroke-width: 2; }
.axis { position: relative; height: 1.2rem; font-size: 0.7rem; color: var(--soft); } .axis span { position: absolute; transform: translateX(-50%); } .axis .from { left: 0; transform: none; } .axis .to { right: 0; transform: none; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin-bottom: 0.6rem; font-size: 0.75rem; color: var(--soft); } .legend li::before { content: ""; display: inline-block; width: 0.5rem; height: 0.5rem; margin-right: 0.35rem; border-radius: 50%; background: var(--tone); } .legend .note::before { display: none; } .legend .waited, .legend .tested { --tone: var(--bed); } .legend .tested { --tone: var(--info); } .legend .waited::before, .legend .tested::before { width: 0.9rem; height: 6px; border-radius: 0; vertical-align: 1px; } .legend .forced::before { border-radius: 0; } .legend .rollback::before { width: 2px; height: 0.7rem; border-radius: 0; vertical-align: -1px; }
.changes { margin: 0 0 0.75rem; padding: 0; list-style: none; } .changes li { display: grid; gap: 0 1rem; padding: 0.35rem 0; } .changes li + li { border-top: 1px solid var(--rule); } .changes .why { display: block; } .changes time { color: var(--soft); font-variant-numeric: tabular-nums; }
.nightly > li { display: grid; gap: 0.15rem 1rem; padding: 0.3rem 0; } .nightly > li + li { border-top: 1px solid var(--rule); }
.pulse { display: flex; flex-wrap: wrap; margin: 0; padding: 0; list-style: none; } .pulse li, .pulse a { display: flex; color: var(--tone); } .pulse .i { margin: 0.25rem; }
@media (min-width: 60rem) { .nightly > li { grid-template-columns: minmax(0, 1fr) 20rem 24rem; align-items: baseline; } .nightly span:last-child { grid-column: 2 / -1; }
  .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } .changes li { grid-template-columns: 8.5rem minmax(0, 1fr) 10.5rem 8rem; align-items: baseline; } .changes .links { text-align: right; } .changes .lead { white-space: nowrap; } }
@media (max-width: 30rem) { .answers > div { grid-template-columns: minmax(0, 1fr); } .answers dt { font-size: 0.75rem; line-height: 1.2; } .answers { gap: 0.3rem; } .answers > div + div { padding-top: 0.3rem; } .answers > [data-answer=owner] { grid-template-columns: max-content minmax(0, 1fr); align-items: baseline; } .title { margin-bottom: 0.3rem; } td.num { font-size: 0.75rem; } table code { font-size: 0.7rem; } .matrix thead th { font-size: 0.65rem; } .matrix tbody th { min-width: 8.5rem; } }
`;

/** A page of records: all folded, or one alone with the image before it. */
const RECORDS = markup`article + article { border-top: 1px solid var(--rule); } article h2 { display: flex; flex-wrap: wrap; gap: 0 0.75rem; align-items: baseline; font-size: 0.875rem; font-weight: 400; padding: 0.35rem 0; } article h2 time { font-size: 0.875rem; color: var(--soft); font-variant-numeric: tabular-nums; }
article h2 b { color: var(--tone); border: 1px solid currentColor; border-radius: 0.25rem; padding: 0 0.35em; font-size: 0.75rem; line-height: 1.35; font-weight: 600; white-space: nowrap; justify-self: start; } article li b, article dd > b { color: var(--tone); }
article code, .shared code { user-select: all; } article li a, article li bdi { unicode-bidi: isolate; overflow-wrap: anywhere; } article:not(:target) dl { display: none; } article p { margin: 0 0 0.35rem; } article h2 b + a { color: inherit; text-underline-offset: 0.3em; font: 0.8125rem/1.45 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; } .pages a { margin-right: 0.75rem; } .pages { margin: 0.5rem 0 0; }
main:has(article:target) :is(article:not(:target, :target:not(:has(dl)) + article), .list-only) { display: none; } article:target { border: 0; scroll-margin-top: 6rem; } article:target h2 { font-size: 1.1rem; margin-bottom: 0.5rem; }
article:target:not(:has(dl)) + article::before { content: "Before it:"; display: block; margin-top: 0.35rem; color: var(--soft); }
@media (min-width: 60rem) { article:not(:target) h2 { display: grid; grid-template-columns: 6.5rem 6.5rem minmax(0, 1fr) max-content; } }
@media (max-width: 30rem) { article dl, .shared { grid-template-columns: minmax(0, 1fr); gap: 0; } article dd, .shared dd { margin-bottom: 0.4rem; } }
`;

export const STYLE = markup`${BASE}${STATUS}${RECORDS}`;
