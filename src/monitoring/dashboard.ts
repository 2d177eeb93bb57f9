import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { type Clock, unixSeconds } from '../base/clock.js';
import { errorLine, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { sha256 } from '../ledger/codec.js';
import { renderBadge } from './badge.js';
import { renderBranchPage } from './branch-page.js';
import { STYLE_FILE, STYLE_TEXT } from './document.js';
import { renderFeed } from './feed.js';
import { renderMetrics } from './metrics.js';
import { type BranchModel, type DashboardModel, dashboardSchema } from './model.js';
import type { NightlyHistory } from './nightly.js';
import { renderPage } from './page.js';
import { branchAddress, RECORDS_A_PAGE, recordPageAddress, slugOf } from './page-parts.js';
import { type Branch, readBranch } from './read-branch.js';
import { type Recorded, renderRecordPages } from './record-pages.js';
import { type DashboardSettings, summarize } from './summarize.js';
import { relativeWords, seconds } from './words.js';

const DATA_FILE = 'data.json';
const MAX_DATA_BYTES = 16 * 1024 * 1024;

/** The dashboard's files by their names; the records of `recorded` get pages. */
export function renderFiles(model: DashboardModel, recorded: readonly Recorded[]): ReadonlyMap<string, string> {
  const recordPages = recorded.flatMap((branch) => renderRecordPages(branch, model));
  const data: DashboardModel = { ...model, 'record-pages': hashesOf(recordPages) };
  return new Map([
    // First, so that no page is there before its style.
    [STYLE_FILE, STYLE_TEXT],
    ['index.html', renderPage(model)],
    ...model.branches.map((branch): [string, string] => [
      branchAddress(branch.branch),
      renderBranchPage(branch, model),
    ]),
    ...recordPages,
    ['metrics.prom', renderMetrics(model)],
    ['badge.json', renderBadge(model)],
    ['feed.atom', renderFeed(model)],
    // Last, so that its presence shows the next run that the rest was published.
    [DATA_FILE, `${JSON.stringify(data)}\n`],
  ]);
}

function hashesOf(pages: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(pages.map(([name, text]) => [name, sha256(Buffer.from(text))]));
}

export interface PublishOptions {
  readonly branches: readonly Branch[];
  readonly settings: DashboardSettings;
  readonly readNightly: () => Promise<NightlyHistory[]>;
  /** Reads a file that the previous run published; undefined if there is none. */
  readonly readBefore: (name: string, maxBytes: number) => Promise<string | undefined>;
  /** The directory to write to; it is created if it is missing. */
  readonly output: string;
  /** Only read and render. */
  readonly dryRun: boolean;
  /** Publishes the files; without it they stay in `output`. */
  readonly upload: ((files: ReadonlyMap<string, string>) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Reads all branches and writes the dashboard. A source that cannot be read appears on the page and fails nothing,
 * since later steps must still publish the page.
 */
export async function publishDashboard(options: PublishOptions): Promise<DashboardModel> {
  const { branches, settings, readNightly, readBefore, output, dryRun, upload, clock, log } = options;
  checkBranches(branches);
  const [nightly, ...histories] = await Promise.all([
    readNightly(),
    ...branches.map((branch) => readBranch(branch, settings)),
  ]);
  const before = await modelBefore(readBefore, log);
  const model = summarize(histories, settings, unixSeconds(clock), nightly, before);
  for (const branch of model.branches) {
    log.info(branchWords(branch, model));
    for (const { source, why } of branch.problems) log.warning(`${branch.branch}: ${source}: ${why}`);
  }
  for (const { job, problem } of model.nightly) if (problem !== null) log.warning(`${job}: ${problem.why}`);
  const files = renderFiles(model, histories);
  for (const [name, text] of files) {
    const file = path.join(output, name);
    log.info(`${dryRun ? 'would write' : 'writing'} ${file}: ${Buffer.byteLength(text)} bytes`);
    if (!dryRun) await writeWhole(file, text);
  }
  if (!dryRun) await upload?.(changedFiles(files, histories, before));
  return model;
}

/** All files except pages of records that the run before published with the same content. */
function changedFiles(
  files: ReadonlyMap<string, string>,
  recorded: readonly Recorded[],
  before: DashboardModel | undefined,
): ReadonlyMap<string, string> {
  const published = before?.['record-pages'] ?? {};
  // Where the older records are not trusted or not read, the published page has more of them.
  const partial = recorded.flatMap(({ branch, records }) => {
    const oldest = records.at(-1)?.n ?? 1;
    return oldest > 1 ? recordPageAddress(branch, Math.ceil(oldest / RECORDS_A_PAGE)) : [];
  });
  const isPublished = (name: string, text: string) =>
    published[name] !== undefined && (partial.includes(name) || published[name] === sha256(Buffer.from(text)));
  return new Map([...files].filter(([name, text]) => !isPublished(name, text)));
}

/** The previous run's dashboard, which has the start of each problem. Without it, all problems count as new. */
async function modelBefore(read: PublishOptions['readBefore'], log: Log): Promise<DashboardModel | undefined> {
  try {
    const json = await read(DATA_FILE, MAX_DATA_BYTES);
    return json === undefined ? undefined : v.parse(dashboardSchema, JSON.parse(json));
  } catch (error) {
    log.debug(`the previous dashboard cannot be read: ${errorLine(error)}`);
    return undefined;
  }
}

function checkBranches(branches: readonly Branch[]): void {
  if (branches.length === 0) throw new UserError('there is no branch to show, such as `master https://host/master`');
  // Pages are named after branches, so stable/zed and stable-zed would share one.
  const names = branches.map(({ branch }) => slugOf(branch));
  const index = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (index >= 0) throw new UserError(`two branches are named ${branches[index]?.branch}, or would share one page`);
}

/** A branch in one line for a log. */
export function branchWords({ branch, state, health, current }: BranchModel, model: DashboardModel): string {
  const now = seconds(model['generated-at']);
  if (current === null) return `${branch}: ${state}`;
  return `${branch}: ${state}: ${current.tag}, ${health.state}, ${current.kind} ${relativeWords(seconds(current.when), now)}`;
}

/** Replaces the file at once, so that readers see the old one or the new one. */
async function writeWhole(file: string, text: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(`${file}.tmp`, text);
    await rename(`${file}.tmp`, file);
  } catch (error) {
    throw new UserError(`cannot write the dashboard: ${errorLine(error)}`);
  }
}
