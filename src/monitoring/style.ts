import { markup } from './markup.js';

/** The page's style: one column on a phone, two beside each other on a desk; light or dark as the reader's system is. */
export const STYLE = markup`
:root { color-scheme: light dark; --bg: #f6f7f8; --panel: #fff; --fg: #1b1f24; --soft: #59636e; --rule: #dfe3e8;
  --ok: #1a7f45; --warn: #8a5300; --bad: #b3261e; --info: #1f5fbf; --idle: #59636e; --bed: #d5dae0; }
@media (prefers-color-scheme: dark) { :root { --bg: #0f1317; --panel: #161b21; --fg: #e4e8ec; --soft: #9aa5b1; --rule: #2b323a;
  --ok: #4cc287; --warn: #e9b04c; --bad: #ff8a7e; --info: #7cb2ff; --idle: #9aa5b1; --bed: #333c46; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--bg); color: var(--fg);
  font: 0.875rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0; }
h3 { font-size: 0.875rem; margin: 0 0 0.4rem; padding-bottom: 0.2rem; border-bottom: 1px solid var(--rule); }
p { margin: 0 0 0.5rem; } ul, dl, dd { margin: 0; padding: 0; } ul { list-style: none; }
a { color: var(--info); text-underline-offset: 0.15em; } a:focus-visible, [tabindex]:focus-visible, summary:focus-visible { outline: 2px solid var(--info); outline-offset: 2px; }
code, .mono { font: 0.8125rem/1.45 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
.soft, .rel { color: var(--soft); } .nowrap { white-space: nowrap; overflow-wrap: normal; }
.vh { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.shapes { position: absolute; width: 0; height: 0; }
.i { width: 1em; height: 1em; vertical-align: -0.125em; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; flex: none; }
header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; margin-bottom: 0.75rem; } header p { margin: 0; }
.panel { background: var(--panel); border: 1px solid var(--rule); border-radius: 0.5rem; }
.line { display: grid; gap: 0.15rem 1rem; padding: 0.6rem 0.8rem; border-left: 4px solid var(--tone); }
.line + .line { border-top: 1px solid var(--rule); }
.lines > :first-child { border-top-left-radius: 0.5rem; } .lines > :last-child { border-bottom-left-radius: 0.5rem; }
.ok, .met, .earned { --tone: var(--ok); } .late, .forced, .waived, .wait, .frozen { --tone: var(--warn); }
.broken, .silent, .unmet, .rollback, .reject { --tone: var(--bad); } .empty, .unknown, .adopted, .undecided { --tone: var(--idle); } .current, .promote { --tone: var(--info); }
.name { display: flex; gap: 0.5rem; align-items: baseline; flex-wrap: wrap; } .name a { font-weight: 600; color: inherit; }
.state { color: var(--tone); font-weight: 600; }
.badge { display: inline-block; color: var(--tone); border: 1px solid currentColor; border-radius: 0.25rem; padding: 0 0.35em; font-size: 0.75rem; line-height: 1.35; font-weight: 600; white-space: nowrap; overflow-wrap: normal; }
.bar, .strip { display: block; width: 100%; height: 6px; } .bed { fill: var(--bed); } .bar .fill { fill: var(--tone); } .strip .fill { fill: var(--info); }
.bar .mark { stroke: var(--fg); stroke-width: 2; vector-effect: non-scaling-stroke; }
.problems { color: var(--bad); margin-bottom: 0.75rem; } .problems .rel { color: inherit; } .told .problems { margin: 0.15rem 0 0; } .problems li { display: flex; gap: 0.5rem; } .problems .i { margin-top: 0.2em; }
section { margin-top: 1.25rem; padding: 0.8rem; } .title { display: flex; flex-wrap: wrap; gap: 0.25rem 0.75rem; align-items: baseline; margin-bottom: 0.75rem; }
.columns { display: grid; gap: 1.25rem 2rem; grid-template-columns: minmax(0, 1fr); } .columns > div > div + div { margin-top: 1.25rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15rem 0.75rem; } dt { color: var(--soft); } .full { user-select: all; }
.jobs li { display: grid; grid-template-columns: 1rem minmax(0, 1fr); gap: 0 0.5rem; padding: 0.2rem 0; } .jobs .i { color: var(--tone); margin-top: 0.2em; } .jobs .said { grid-column: 2; }
.key { display: flex; flex-wrap: wrap; gap: 0 1rem; margin-top: 0.4rem; font-size: 0.75rem; } .key .i { color: var(--tone); }
.then { border-left: 3px solid var(--rule); padding-left: 0.6rem; margin-top: 0.5rem; }
.scroll { overflow-x: auto; position: relative; }
table { border-collapse: collapse; width: 100%; } th, td { padding: 0.3rem 0.6rem 0.3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { color: var(--soft); font-weight: 600; font-size: 0.75rem; vertical-align: bottom; } tbody th { font-weight: 400; }
tbody tr:last-child > * { border-bottom: 0; }
.num { text-align: right; white-space: nowrap; overflow-wrap: normal; font-variant-numeric: tabular-nums; padding-right: 0; padding-left: 0.6rem; } .when { width: 8.5rem; }
.lead { width: 6.5rem; }
table code { font-size: 0.75rem; }
.matrix th[scope=col] + th { text-align: center; padding-inline: 0.3rem; } .matrix thead bdi { display: block; width: max-content; max-width: 11rem; margin: auto; } .warning { color: var(--warn); margin-top: 0.5rem; } .matrix td { padding-right: 0; text-align: center; vertical-align: middle; font-size: 1rem; color: var(--tone); }
.matrix td a { display: inline-block; padding: 0 0.4rem; color: inherit; text-decoration: none; } .matrix sup { font-size: 0.65rem; } .matrix tbody th { width: 100%; min-width: 9rem; }
.matrix tr.current > th { box-shadow: inset 3px 0 var(--info); padding-left: 0.6rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 42%), 1fr)); gap: 0.6rem 1rem; margin-bottom: 0.75rem; } .figures dd { font-size: 1rem; font-weight: 600; font-variant-numeric: tabular-nums; } .figures dt { font-size: 0.75rem; }
.chart { margin: 0 3.4rem 0.5rem 0.25rem; } .plot { position: relative; height: 7rem; } .plot svg { display: block; width: 100%; height: 100%; overflow: visible; } .plot path { fill: none; vector-effect: non-scaling-stroke; }
.plot span { position: absolute; left: 100%; padding-left: 0.5rem; font-size: 0.7rem; line-height: 1; color: var(--soft); white-space: nowrap; } .plot .top { top: 0; } .plot .mid { transform: translateY(-50%); }
.grid, .base { stroke: var(--rule); stroke-width: 1; } .median { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; }
path.earned, path.forced, path.adopted, path.rollback { stroke: var(--tone); stroke-width: 7; stroke-linecap: round; } path.forced { stroke-linecap: square; stroke-width: 6; } path.rollback { stroke-width: 2; }
.axis { position: relative; height: 1.2rem; font-size: 0.7rem; color: var(--soft); } .axis span { position: absolute; transform: translateX(-50%); } .axis .from { left: 0; transform: none; } .axis .to { right: 0; transform: none; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin-bottom: 0.6rem; font-size: 0.75rem; color: var(--soft); } .legend li::before { content: ""; display: inline-block; width: 0.5rem; height: 0.5rem; margin-right: 0.35rem; border-radius: 50%; background: var(--tone); } .legend .note::before { display: none; } .legend .waited, .legend .tested { --tone: var(--bed); } .legend .tested { --tone: var(--info); } .legend .waited::before, .legend .tested::before { width: 0.9rem; height: 6px; border-radius: 0; vertical-align: 1px; } .legend .forced::before { border-radius: 0; } .legend .rollback::before { width: 2px; height: 0.7rem; border-radius: 0; vertical-align: -1px; }
.nightly > li { display: grid; gap: 0.15rem 1rem; padding: 0.3rem 0; } .nightly > li + li { border-top: 1px solid var(--rule); }
.pulse { display: flex; flex-wrap: wrap; margin: 0; padding: 0; list-style: none; } .pulse li, .pulse a { display: flex; color: var(--tone); } .pulse .i { margin: 0.25rem; }
summary { cursor: pointer; color: var(--info); padding: 0.3rem 0; } footer { margin-top: 1.25rem; color: var(--soft); font-size: 0.8125rem; }
@media (min-width: 60rem) { .nightly > li { grid-template-columns: minmax(0, 1fr) 20rem 24rem; align-items: baseline; } .nightly span:last-child { grid-column: 2 / -1; } .line { grid-template-columns: 12rem minmax(0, 1fr) 16rem; grid-template-rows: auto 1fr; align-items: baseline; } .line .name, .line .age { grid-row: span 2; } .line .told { grid-column: 2; }
  .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
@media (max-width: 30rem) { body { padding: 0.6rem; } section { padding: 0.6rem; } .when { width: 5.6rem; } .lead { width: 5.2rem; } td.num, td .rel { font-size: 0.75rem; } table code { font-size: 0.7rem; } .matrix thead th { font-size: 0.65rem; } .matrix tbody th { min-width: 8.5rem; } dl:not(.figures) { grid-template-columns: minmax(0, 1fr); } dl:not(.figures) dd { margin-bottom: 0.3rem; } }
@media print { body { background: none; } .panel { break-inside: avoid; } }
`;
