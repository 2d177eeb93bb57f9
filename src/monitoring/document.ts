import { sha256 } from '../ledger/codec.js';
import { KIND_FILTER_STYLE } from './history.js';
import { type Content, type Markup, markup, render } from './markup.js';
import { time, type View } from './page-parts.js';
import { iconShapes } from './pictures.js';
import { STYLE } from './style.js';

/** The style of all pages, and its file. */
export const STYLE_FILE = 'style.css';
export const STYLE_TEXT = render([STYLE, KIND_FILTER_STYLE]);

/** Its address changes with its content, so that no browser shows a new page in an old style. */
export const STYLE_ADDRESS = `${STYLE_FILE}?v=${sha256(Buffer.from(STYLE_TEXT)).slice(0, 8)}`;

export interface DocumentOptions {
  readonly title: string;
  /** Links below the heading. */
  readonly lead?: Content;
  readonly main: Content;
  /** CSS rules that only this page has. */
  readonly style?: Markup;
}

/** The parts that only a page about the current state has. */
interface Frame {
  readonly head?: Markup;
  readonly shapes?: Markup;
  readonly footer?: Markup;
}

/** A page about the current state. */
export function renderStatus(options: DocumentOptions, { model }: View): string {
  const about = markup`Label <code>${model.label}</code>, as of ${time(model['generated-at'])} UTC.`;
  return renderDocument(options, about, {
    head: markup`<link rel="alternate" type="application/atom+xml" title="Promotions" href="feed.atom">
`,
    shapes: iconShapes(),
    footer: markup`<footer>The same as data: <a href="data.json">data.json</a>, <a href="metrics.prom">metrics.prom</a>, <a href="badge.json">badge.json</a>, <a href="feed.atom">feed.atom</a>.</footer>
`,
  });
}

/** A page about the past. It does not name the time of writing: time alone does not change it. */
export function renderArchive(options: DocumentOptions, { model }: View): string {
  return renderDocument(options, markup`Label <code>${model.label}</code>. Times are in UTC.`, {});
}

/**
 * One page, which runs nothing and loads nothing but the style beside it. Its content security policy enforces that, so
 * that text from outside can do no harm. Without scripts, all times must be absolute.
 */
function renderDocument({ title, lead, main, style }: DocumentOptions, about: Content, frame: Frame): string {
  return render(markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${STYLE_ADDRESS}">
${frame.head}${
  style === undefined
    ? undefined
    : markup`<style>${style}</style>
`
}</head>
<body id="top">
${frame.shapes}
<header><h1><bdi>${title}</bdi></h1>
<p class="soft">${about}</p>
${lead}</header>
<main>
${main}</main>
${frame.footer}</body>
</html>
`);
}
