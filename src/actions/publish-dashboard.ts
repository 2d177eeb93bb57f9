import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { systemClock } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { durationSchema } from '../base/schema.js';
import { jobNameSchema } from '../criteria/job-result.js';
import { dlrnEvidence } from '../evidence/dlrn.js';
import type { Http } from '../http/policy.js';
import { candidateLabelSchema, promotedLabelSchema } from '../ledger/names.js';
import type { PublishOptions } from '../monitoring/dashboard.js';
import { type NightlyHistory, readNightlyJobs } from '../monitoring/nightly.js';
import type { Branch } from '../monitoring/read-branch.js';
import { defineAction } from '../runner/action.js';
import {
  flag,
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  renamed,
  requiredList,
  urlSchema,
  withDefault,
} from '../runner/inputs.js';
import { formatStore, isInGit, type StoreAddress, storeSchema } from '../store/address.js';
import type { Store } from '../store/store.js';
import { caInput } from './shared/ca-input.js';
import { dlrnFrom, dlrnInputs } from './shared/dlrn-inputs.js';
import { smallApis } from './shared/http.js';
import { ADDRESSES, readableSchema, storeInputs, withReader, withStore } from './shared/store-inputs.js';

/** `<branch> <where> [<dlrn-url>]`. */
const branchLineSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}(?:\s+\S+){1,2}$/,
    (issue) => `${issue.received} is not a branch and a URL, such as \`master https://host/ceph/daemon/master\``,
  ),
  v.transform((line) => {
    const [branch = '', where = '', dlrn] = line.split(/\s+/);
    return { branch, where, dlrn };
  }),
  v.object({
    branch: v.string(),
    where: readableSchema,
    dlrn: v.undefinedable(urlSchema),
  }),
);

/** `<branch> <owner>`. */
const ownerLineSchema = v.pipe(
  v.string(),
  v.regex(/^\S+\s+\S/, (issue) => `${issue.received} is not a branch and its owner, such as \`master Ceph CI\``),
  v.transform((line) => {
    const [branch = ''] = line.split(/\s+/);
    return { branch, owner: line.slice(branch.length).trim() };
  }),
);

/** `<branch> <https URL>`. */
const changeLineSchema = v.pipe(
  v.string(),
  v.regex(
    /^\S+\s+https:\/\/\S+$/,
    (issue) => `${issue.received} is not a branch and an https URL, such as \`master https://host/owner/name/pull/1\``,
  ),
  v.transform((line) => {
    const [branch = '', url] = line.split(/\s+/);
    return { branch, url };
  }),
  v.object({ branch: v.string(), url: urlSchema }),
);

const inputs = {
  branches: requiredList(
    'The branches, one per line: `<branch> <url> [<dlrn-url>]`. The URL is the directory of its labels and ledger, ' +
      '`https://…`, `sftp://…` or git as for `server`; with the URL of its DLRN API, its votes are shown too',
    branchLineSchema,
  ),
  'promoted-label': renamed(withDefault('The promoted label', 'current-ceph', promotedLabelSchema), 'label'),
  'candidate-label': withDefault('The label of the candidate under test', 'ceph-ci-testing', candidateLabelSchema),
  owners: list(
    'Whom to ask about each branch, one per line: `<branch> <name, channel or URL>`, as in `master Ceph CI, #rdo on OFTC`',
    ownerLineSchema,
  ),
  changes: list(
    'The open changes that propose what is promoted, one per line: `<branch> <https URL>`, with the output `url` of propose-change; the page links to them',
    changeLineSchema,
  ),
  workflow: withDefault(
    "The file name of the promotion workflow, for the page's commands that start it",
    'promotion.yml',
    lineSchema,
  ),
  title: withDefault('The title of the page', 'Ceph promotions', lineSchema),
  'target-age': withDefault('How old the newest promotion of a branch may get', '14 days', durationSchema),
  'heartbeat-age': withDefault('How old the newest run of a branch may get', '4 days', durationSchema),
  'dlrn-label': withDefault(
    'With a DLRN API: the label whose newest 50 aggregate hashes are read',
    'current-tripleo',
    lineSchema,
  ),
  username: optional('DLRN user, if reading needs one', lineSchema),
  password: dlrnInputs.password,
  'zuul-url': optional('With `nightly-jobs`: the URL before `/api/tenant/…`', urlSchema),
  'zuul-tenant': optional('With `nightly-jobs`: the tenant', lineSchema),
  'nightly-jobs': list(
    'Zuul jobs that test development builds, one per line; the page shows their newest builds',
    jobNameSchema,
  ),
  output: withDefault('The directory to write to', 'dashboard', lineSchema),
  ...storeInputs,
  server: optional(
    `Where the files are published too: ${ADDRESSES}. It must not be a store with labels and a ledger. In git, such as \`git@gh-pages#ceph\`, all runs amend one commit`,
    storeSchema,
  ),
  'ssh-private-key': {
    ...storeInputs['ssh-private-key'],
    description: 'Private key for stores over SSH, of any type that OpenSSH writes; empty: the agent at SSH_AUTH_SOCK',
  },
  ...caInput,
  'dry-run': flag('Read and render, and write nothing', 'false'),
};

type Settings = ParsedInputs<typeof inputs>;

export const action = defineAction({
  description:
    'Writes pages, metrics, a badge and a feed that say what is promoted, whether it is healthy, and what blocks promotions',
  needs:
    'nothing for branches that are read over HTTP; read access to those at `sftp://…` or in git. With `server`, write access there.',
  inputs,
  outputs: {
    page: 'The path of the page; empty in a dry run',
    metrics: 'The path of the metrics; empty in a dry run',
  },
  async run(inputs, { log, context }) {
    for (const name of ['owners', 'changes'] as const) {
      const stray = inputs[name].find(({ branch }) => !inputs.branches.some((line) => line.branch === branch));
      if (stray !== undefined) throw new UserError(`input ${name}: ${stray.branch} is not among branches`);
    }
    const output = path.resolve(context.workspace, inputs.output);
    const dryRun = inputs['dry-run'];
    const http = await smallApis(log, inputs);
    const open = storesFrom(inputs, log);
    // Loaded only here, since no other action needs the pages.
    const { branchWords, publishDashboard } = await import('../monitoring/dashboard.js');
    const model = await publishDashboard({
      branches: inputs.branches.map((line) => branchFrom(line, inputs, http, log)),
      settings: {
        title: inputs.title,
        label: inputs['promoted-label'],
        candidateLabel: inputs['candidate-label'],
        targetAge: inputs['target-age'],
        heartbeatAge: inputs['heartbeat-age'],
        workflow: inputs.workflow,
      },
      readNightly: nightlyFrom(inputs, http),
      ...published(inputs.server, output, open),
      output,
      dryRun,
      clock: systemClock,
      log,
    });
    return {
      outputs: dryRun ? {} : { page: path.join(output, 'index.html'), metrics: path.join(output, 'metrics.prom') },
      summary: model.branches.map((branch) => `- ${branchWords(branch, model)}\n`).join(''),
    };
  },
});

function nightlyFrom(
  { 'zuul-url': url, 'zuul-tenant': tenant, 'nightly-jobs': jobs }: Settings,
  http: Http,
): () => Promise<NightlyHistory[]> {
  if (jobs.length === 0) return async () => [];
  if (url === undefined) throw new UserError('input zuul-url: required with nightly-jobs');
  if (tenant === undefined) throw new UserError('input zuul-tenant: required with nightly-jobs');
  return () => readNightlyJobs({ http, url, tenant }, jobs);
}

type OpenStore = <T>(server: StoreAddress, work: (store: Store) => Promise<T>) => Promise<T>;

/** Opens stores with the credentials of the inputs. */
function storesFrom(settings: Settings, log: Log): OpenStore {
  const { server, branches, 'ssh-known-hosts': knownHosts } = settings;
  const used = [...(server === undefined ? [] : [server]), ...branches.map(({ where }) => where)];
  const isUsed = used.some((where) => !(where instanceof URL || isInGit(where)));
  if (isUsed && knownHosts === undefined) {
    throw new UserError(
      `input ssh-known-hosts: required with a store over SFTP: ${inputs['ssh-known-hosts'].description}`,
    );
  }
  return (server, work) => withStore({ ...settings, server }, log, work, { history: 'amend' });
}

function branchFrom(
  { branch, where, dlrn: dlrnUrl }: Settings['branches'][number],
  settings: Settings,
  http: Http,
  log: Log,
): Branch {
  const scope = { kind: 'label', label: settings['dlrn-label'] } as const;
  const dlrn = dlrnUrl && dlrnFrom(settings, dlrnUrl, http, log);
  return {
    branch,
    url: where instanceof URL ? where.href : formatStore(where),
    owner: settings.owners.find((one) => one.branch === branch)?.owner,
    changes: settings.changes.filter((one) => one.branch === branch).map(({ url }) => url.href),
    withStore: (read) => withReader(where, settings, http, log, read),
    dlrn: dlrn && { url: dlrnUrl.href, votes: async (jobs) => (await dlrnEvidence(dlrn, scope, jobs, log)).results },
  };
}

/** The functions that read the previous run's dashboard and publish this one, in a store or in `output` alone. */
function published(
  server: StoreAddress | undefined,
  output: string,
  open: OpenStore,
): Pick<PublishOptions, 'readBefore' | 'upload'> {
  if (server === undefined)
    return { readBefore: (name) => readFile(path.join(output, name), 'utf8'), upload: undefined };
  return {
    readBefore: (name, maxBytes) => open(server, (there) => there.readPage(name, maxBytes)),
    upload: (files) =>
      open(server, async (there) => {
        for (const [name, text] of files) await there.writePage(name, text);
      }),
  };
}
