import { type Content, type Markup, markup, render } from './markup.js';
import { time, type View } from './page-parts.js';
import { iconShapes } from './pictures.js';
import { RECORDS_STYLE, STYLE } from './style.js';

export interface DocumentOptions {
  readonly title: string;
  /** Links below the heading. */
  readonly lead?: Content;
  readonly main: Content;
  /** CSS rules of this page's filters. */
  readonly style?: Markup | undefined;
}

/** A page about the current state. */
export function renderStatus({ style, ...options }: DocumentOptions, { model }: View): string {
  const about = markup`Label <code>${model.label}</code>, as of ${time(model['generated-at'])} UTC.`;
  return renderDocument({ ...options, style: markup`${STYLE}${style}` }, about, iconShapes());
}

/** A page about the past. It does not name the time of writing, so that it stays the same until its records change. */
export function renderArchive({ style, ...options }: DocumentOptions, { model }: View): string {
  const about = markup`Label <code>${model.label}</code>. Times are in UTC.`;
  return renderDocument({ ...options, style: markup`${RECORDS_STYLE}${style}` }, about);
}

/**
 * One page, which loads and runs nothing. Its content security policy enforces that, so that text from outside can do
 * no harm. Without scripts, all times must be absolute.
 */
function renderDocument({ title, lead, main, style }: DocumentOptions, about: Content, shapes?: Markup): string {
  return render(markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="alternate" type="application/atom+xml" title="Promotions" href="feed.atom">
<style>${style}</style>
</head>
<body id="top">
${shapes}
<header><h1><bdi>${title}</bdi></h1>
<p class="soft">${about}</p>
${lead}</header>
<main>
${main}</main>
<footer>The same as data: <a href="data.json">data.json</a>, <a href="metrics.prom">metrics.prom</a>, <a href="badge.json">badge.json</a>, <a href="feed.atom">feed.atom</a>.</footer>
</body>
</html>
`);
}
