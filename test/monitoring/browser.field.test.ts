import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import * as v from 'valibot';
import { renderFiles } from '../../src/monitoring/dashboard.js';
import { STYLE_ADDRESS } from '../../src/monitoring/document.js';
import { renderFeed } from '../../src/monitoring/feed.js';
import type { NightlyHistory } from '../../src/monitoring/nightly.js';
import { branchAddress, recordAddress } from '../../src/monitoring/page-parts.js';
import type { BranchHistory } from '../../src/monitoring/read-branch.js';
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
  record,
  result,
  SETTINGS,
} from './fixture.js';
import { SCENES, type Scene, sceneOf } from './scenes.js';
import { screenshotsOf, takeScreenshots } from './screenshots.js';

/** The pages in a real browser, over HTTP. */

const axeViolations = v.array(v.object({ id: v.string(), nodes: v.array(v.object({ html: v.string() })) }));

let browser: Browser;
let axe: string;
beforeAll(async () => {
  browser = await launchBrowser(sandbox().tools.chromium);
  axe = await readFile(path.join(projectRoot, 'node_modules/axe-core/axe.min.js'), 'utf8');
});
afterAll(() => browser?.close());

/** Serves a dashboard's files, and returns the URL of their directory. */
async function serve({ model, histories }: Scene): Promise<string> {
  const there = await freshImageDirectory();
  for (const [name, text] of renderFiles(model, histories)) await writeFile(path.join(there.path, name), text);
  return there.url;
}

interface Way {
  readonly width: number;
  readonly colorScheme: 'light' | 'dark';
}

/** Each width and each scheme once. */
const WAYS: readonly Way[] = [
  { width: 390, colorScheme: 'dark' },
  { width: 1280, colorScheme: 'light' },
];

/** Opens each kind of page of a dashboard in each width and scheme, and returns what is wrong. */
async function complaintsOf(scene: Scene, hasOwnRecords = true): Promise<string[]> {
  const directory = await serve(scene);
  const names = [...renderFiles(scene.model, scene.histories).keys()].filter((name) => name.endsWith('.html'));
  // One page of each kind.
  const kinds = hasOwnRecords ? ['index', 'branch', 'records'] : ['index', 'branch'];
  const pages = kinds.flatMap((kind) => names.find((name) => name.startsWith(kind)) ?? []);
  const complaints: string[] = [];
  for (const name of pages) complaints.push(...(await complaintsOfPage(`${directory}/${name}`)));
  if (!hasOwnRecords) return complaints;
  const [record] = scene.histories.flatMap(({ branch, records }) => records.map(({ n }) => recordAddress(branch, n)));
  if (record !== undefined) complaints.push(...(await complaintsOfPage(`${directory}/${record}`)));
  return complaints;
}

async function complaintsOfPage(url: string): Promise<string[]> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const own = [url.replace(/#.*/, ''), 'data:,', new URL(STYLE_ADDRESS, url).href];
    if (!own.includes(request.url())) complaints.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  if ((await page.evaluate('getComputedStyle(document.body).maxWidth')) === 'none') complaints.push('has no style');
  const made = v.parse(v.array(v.string()), await page.evaluate(MADE_OF));
  complaints.push(...made.filter((part) => /^(script|img|iframe|object|embed|form|on.*)$/.test(part)));
  // The page's policy allows no script: axe comes through the debugger, which ignores the policy.
  await page.evaluate(axe);
  for (const { width, colorScheme } of WAYS) {
    const complain = (what: string) =>
      complaints.push(`${new URL(url).pathname}, ${width} px, ${colorScheme}: ${what}`);
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    const height = v.parse(v.number(), await page.evaluate('document.documentElement.scrollHeight'));
    if (height > 8000) complain(`is ${height} px high`);
    await page.evaluate('for (const part of document.querySelectorAll("details")) part.open = true');
    const needed = v.parse(v.number(), await page.evaluate('document.documentElement.scrollWidth'));
    if (needed > width) complain(`scrolls sideways: ${needed} px`);
    const violations = v.parse(axeViolations, await page.evaluate(AXE));
    for (const { id, nodes } of violations) complain(`axe: ${id}: ${nodes[0]?.html}`);
    await page.evaluate('for (const part of document.querySelectorAll("details")) part.open = false');
  }
  await page.close();
  return complaints;
}

/** Only what is wrong, which saves axe the details of what is right. */
const AXE = `axe.run({ resultTypes: ['violations'], preload: false }).then(({ violations }) => violations)`;

/** The names of all elements and attributes. */
const MADE_OF = `[...document.querySelectorAll('*')].flatMap((e) => [e.localName, ...e.getAttributeNames()])`;

const sceneWith = (histories: readonly BranchHistory[], nightly: readonly NightlyHistory[] = []): Scene => ({
  histories,
  model: summarize(histories, SETTINGS, NOW, nightly),
});

/** Their ledgers are like that of the scene regressed, and axe takes seconds for each page of records. */
const LIKE_REGRESSED = ['healthy', 'broken'];

test.each(Object.keys(SCENES))('the scene %s', async (name) => {
  expect(await complaintsOf(sceneOf(name), !LIKE_REGRESSED.includes(name))).toEqual([]);
});

test('no promotion, a branch and a nightly job that cannot be read', async () => {
  const unreadable = { job: 'nightly', failure: 'GET https://zuul.example: no answer', builds: [] };
  expect(await complaintsOf(sceneWith([emptyHistory('master'), downHistory()], [unreadable]))).toEqual([]);
});

test('candidates without a decision', async () => {
  const votes = jobsOf('master').map((job) => result(job, candidate('v6.0.12-passed-over'), 'failure', NOW - DAY));
  const master = { ...busyHistory('master', 20), dlrn: 'https://dlrn.example/api-master', votes };
  expect(await complaintsOf(sceneWith([master]), false)).toEqual([]);
});

/** The names of the answers that end in the first 800 px, of every card, when the page is scrolled to it. */
const ANSWERS = `[...document.querySelectorAll('.card')].map((card, index) => {
  const top = index === 0 ? -window.scrollY : card.getBoundingClientRect().top;
  return [...card.querySelectorAll('[data-answer]')]
    .filter((answer) => answer.getBoundingClientRect().bottom - top <= 800)
    .map((answer) => answer.dataset.answer);
})`;

describe.each([390, 1280])('at %i px', (width) => {
  test.each(Object.keys(SCENES))('the first 800 px of %s have the five answers of a branch', async (name) => {
    const scene = sceneOf(name);
    const directory = await serve(scene);
    const page = await browser.newPage({ viewport: { width, height: 800 } });
    for (const file of ['index.html', ...scene.model.branches.map(({ branch }) => branchAddress(branch))]) {
      await page.goto(`${directory}/${file}`);
      const answers = v.parse(v.array(v.array(v.string())), await page.evaluate(ANSWERS));
      expect([file, answers.length]).toEqual([file, file === 'index.html' ? scene.model.branches.length : 1]);
      for (const answer of answers) {
        expect([file, answer]).toEqual([file, ['promoted', 'healthy', 'blocked', 'next', 'owner']]);
      }
    }
    await page.close();
  });
});

test('history is filtered by branch and kind, and a record is shown alone, without scripts', async () => {
  const scene = sceneOf('regressed');
  const directory = await serve(scene);
  const page = await browser.newPage({ javaScriptEnabled: false });
  const visible = (selector: string) => page.locator(selector).filter({ visible: true }).count();
  await page.goto(`${directory}/index.html`);
  await page.locator('.history summary').click();
  expect(await visible('.changes li')).toBe(24);
  await page.getByLabel('rolled back').check();
  const rollbacks = await visible('.changes li');
  expect(rollbacks).toBeGreaterThan(0);
  expect(await visible('.changes li.k-rollback')).toBe(rollbacks);
  await page.getByRole('radio', { name: 'wallaby' }).check();
  expect(await visible('.changes li')).toBeLessThan(rollbacks);
  await page.goto(`${directory}/records-master-1.html`);
  expect(await visible('article')).toBe(22);
  await page.getByRole('link', { name: 'Record 17' }).click();
  expect(await visible('article')).toBe(1);
  expect(page.url()).toBe(`${directory}/records-master-1.html#n17`);
  expect(await visible('#n17 dl')).toBe(1);
  // An older record of a long ledger, and the image before it.
  await page.goto(`${await serve(sceneOf('thousand'))}/records-master-3.html#n148`);
  expect(await visible('article')).toBe(2);
  expect(await visible('#n148 p')).toBe(1);
  const before = "getComputedStyle(document.querySelector('#n147'), '::before').content";
  expect(await page.evaluate(before)).toBe('"Before it:"');
  await page.close();
});

test('screenshots are taken, and docs/images has those of every scene', async () => {
  const update = process.env.UPDATE_SCREENSHOTS === '1';
  const docs = path.join(projectRoot, 'docs/images');
  const into = update ? docs : await mkdtemp(path.join(tmpdir(), 'screenshots-'));
  const all = Object.keys(SCENES);
  // The pages of one are enough: those of all would show the same.
  const taken = update ? all : ['regressed'];
  try {
    await takeScreenshots(browser, into, taken);
    expect(await readdir(into)).toEqual(expect.arrayContaining(taken.flatMap(screenshotsOf)));
    expect(await readdir(docs)).toEqual(expect.arrayContaining(all.flatMap(screenshotsOf)));
  } finally {
    if (!update) await rm(into, { recursive: true });
  }
});

test('names and sentences from outside are inert, and do not widen the page', async () => {
  const histories = HOSTILE.map((text, index) => ({ ...hostileHistory(text), branch: `branch-${index}` }));
  const title = HOSTILE.join(' ');
  const model = summarize(histories, { ...SETTINGS, title }, NOW, HOSTILE.flatMap(hostileNightly));
  expect(await complaintsOf({ model, histories })).toEqual([]);
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

/** What RFC 4287 asks of a feed and of each entry (sections 4.1.1 and 4.1.2), as a browser's XML parser reads it. */
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
  expect(await complaintsOf(sceneWith([history]))).toEqual([]);
});
