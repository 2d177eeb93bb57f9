import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import * as v from 'valibot';
import { renderFiles } from '../../src/monitoring/dashboard.js';
import { renderFeed } from '../../src/monitoring/feed.js';
import type { DashboardModel } from '../../src/monitoring/model.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import { launchBrowser } from './browser.js';
import {
  busyHistory,
  candidate,
  DAY,
  downHistory,
  emptyHistory,
  HOSTILE,
  hostileHistory,
  hostileNightly,
  jobsOf,
  NOW,
  nightlyJobs,
  record,
  result,
  SETTINGS,
} from './fixture.js';

/** The page as a reader's browser has it, over HTTP. */

jest.setTimeout(120_000);

const axeViolations = v.array(v.object({ id: v.string(), nodes: v.array(v.object({ html: v.string() })) }));

let browser: Browser;
let axe: string;
beforeAll(async () => {
  browser = await launchBrowser(sandbox().tools.chromium);
  axe = await readFile(path.join(projectRoot, 'node_modules/axe-core/axe.min.js'), 'utf8');
});
afterAll(() => browser?.close());

/** Where a dashboard's files are served. */
async function serve(model: DashboardModel): Promise<string> {
  const there = await freshImageDirectory();
  for (const [name, text] of renderFiles(model)) await writeFile(path.join(there.path, name), text);
  return `${there.url}/index.html`;
}

interface Way {
  readonly width: number;
  readonly colorScheme: 'light' | 'dark';
}

const WAYS: readonly Way[] = [360, 1280].flatMap((width) => [
  { width, colorScheme: 'light' },
  { width, colorScheme: 'dark' },
]);

/** Opens a dashboard, looks at it in all ways, and returns what is wrong with it: nothing, as we hope. */
async function complaintsOf(model: DashboardModel): Promise<string[]> {
  const url = await serve(model);
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (request.url() !== url && request.url() !== 'data:,') complaints.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  const made = v.parse(v.array(v.string()), await page.evaluate(MADE_OF));
  complaints.push(...made.filter((part) => /^(script|img|iframe|object|embed|form|on.*)$/.test(part)));
  await page.evaluate('for (const part of document.querySelectorAll("details")) part.open = true');
  // The page's policy lets no script in: axe comes by the debugger, which it does not bind.
  await page.evaluate(axe);
  for (const { width, colorScheme } of WAYS) {
    const complain = (what: string) => complaints.push(`${width} px, ${colorScheme}: ${what}`);
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    const needed = v.parse(v.number(), await page.evaluate('document.documentElement.scrollWidth'));
    if (needed > width) complain(`scrolls sideways: ${needed} px`);
    const violations = v.parse(axeViolations, await page.evaluate('axe.run().then(({ violations }) => violations)'));
    for (const { id, nodes } of violations) complain(`axe: ${id}: ${nodes[0]?.html}`);
  }
  await page.close();
  return complaints;
}

/** The names of all elements and attributes. */
const MADE_OF = `[...document.querySelectorAll('*')].flatMap((e) => [e.localName, ...e.getAttributeNames()])`;

test('0 promotions', async () => {
  const unreadable = { job: 'nightly', failure: 'GET https://zuul.example: no answer', builds: [] };
  const model = summarize([emptyHistory('master'), downHistory()], SETTINGS, NOW, [unreadable]);
  expect(await complaintsOf(model)).toEqual([]);
});

test('1 promotion', async () => {
  const image = candidate('v6.0.7-one');
  const history = emptyHistory('master', { records: [record([], image, NOW - 2 * DAY)], labelTag: image.tag });
  expect(await complaintsOf(summarize([history], SETTINGS, NOW))).toEqual([]);
});

test('20 promotions', async () => {
  const votes = jobsOf('master').map((job) => result(job, candidate('v6.0.12-passed-over'), 'failure', NOW - DAY));
  const master = { ...busyHistory('master', 20), dlrn: 'https://dlrn.example/api-master', votes };
  const histories = [master, busyHistory('wallaby', 20, 7 * DAY, 2)];
  expect(await complaintsOf(summarize(histories, SETTINGS, NOW, nightlyJobs()))).toEqual([]);
});

test('1,000 promotions', async () => {
  expect(await complaintsOf(summarize([busyHistory('master', 1000, DAY)], SETTINGS, NOW, nightlyJobs()))).toEqual([]);
});

test('names and sentences from outside are inert, and do not widen the page', async () => {
  const histories = HOSTILE.map((text, index) => ({ ...hostileHistory(text), branch: `branch-${index}` }));
  const title = HOSTILE.join(' ');
  const model = summarize(histories, { ...SETTINGS, title }, NOW, HOSTILE.flatMap(hostileNightly));
  expect(await complaintsOf(model)).toEqual([]);
});

test('the feed is an Atom feed, whatever is in it', async () => {
  const image = candidate('v6.0.8-new');
  const histories = HOSTILE.map((text, index) => ({ ...hostileHistory(text), branch: `branch-${index} ${text}` }));
  const ofHostile = summarize(histories, { ...SETTINGS, title: HOSTILE.join(' ') }, NOW);
  const ofSome = summarize([busyHistory('master', 20)], SETTINGS, NOW);
  const ofOne = summarize([emptyHistory('master', { records: [record([], image, NOW - DAY)] })], SETTINGS, NOW);
  const page = await browser.newPage();
  for (const model of [ofHostile, ofSome, ofOne, summarize([emptyHistory()], SETTINGS, NOW)]) {
    const feed = JSON.stringify(renderFeed(model));
    expect(await page.evaluate(`(${WRONG_WITH_FEED})(${feed})`)).toEqual([]);
  }
  expect(await page.evaluate(`(${WRONG_WITH_FEED})('<feed><entry></feed>')`)).not.toEqual([]);
  await page.close();
});

/** What RFC 4287 asks of a feed and of each entry (sections 4.1.1 and 4.1.2), as a browser's XML parser has it. */
const WRONG_WITH_FEED = `(text) => {
  const atom = 'http://www.w3.org/2005/Atom';
  const { documentElement: feed } = new DOMParser().parseFromString(text, 'application/xml');
  if (feed.localName !== 'feed' || feed.namespaceURI !== atom) return ['not a feed: ' + feed.textContent];
  const of = (parent, name) => [...parent.children].filter((child) => child.localName === name);
  return [feed, ...of(feed, 'entry')].flatMap((part) => [
    ...['id', 'title', 'updated'].filter((name) => of(part, name).length !== 1).map((name) => part.localName + ': ' + name),
    ...of(part, 'id').filter(({ textContent }) => !URL.canParse(textContent)).map(() => 'an id that is no IRI'),
    ...of(part, 'updated').filter((one) => !/^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$/.test(one.textContent)).map(() => 'no time'),
    ...(of(part, 'author').length === 0 ? ['no author'] : []),
  ]);
}`;

test('tags of 128 characters do not widen the page', async () => {
  const long = candidate(`v${'9'.repeat(127)}`);
  const history = emptyHistory('master', {
    records: [record([], long, NOW - 2 * DAY)],
    labelTag: long.tag,
    candidateTag: candidate(`w${'9'.repeat(127)}`).tag,
  });
  expect(await complaintsOf(summarize([history], SETTINGS, NOW))).toEqual([]);
});
