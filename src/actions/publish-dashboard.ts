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
import { filesOverHttp, filesOverSftp } from '../monitoring/branch-files.js';
import {
  branchWords,
  DATA_FILE,
  MAX_DATA_BYTES,
  type PublishOptions,
  publishDashboard,
} from '../monitoring/dashboard.js';
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
import { formatStore, isInGit, type StoreAddress, storeSchema } from '../store/server-url.js';
import type { Store } from '../store/store.js';
import { caInput } from './shared/ca-input.js';
import { dlrnFrom, dlrnInputs } from './shared/dlrn-inputs.js';
import { smallApis } from './shared/http.js';
import { storeInputs, withStore } from './shared/store-inputs.js';

const whereSchema: v.GenericSchema<string, URL | StoreAddress> = v.lazy((where) =>
  /^https?:/i.test(String(where)) ? urlSchema : storeSchema,
);

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
    where: whereSchema,
    dlrn: v.undefinedable(urlSchema),
  }),
);

const inputs = {
  branches: requiredList(
    'The branches, one a line: `<branch> <url>`, with the URL of the directory that its labels and ledger are in, ' +
      '`https://…` or `sftp://user@host[:port]/absolute/directory`; and behind it, to tell votes as well, its DLRN API',
    branchLineSchema,
  ),
  'promoted-label': renamed(withDefault('The promoted label', 'current-ceph', promotedLabelSchema), 'label'),
  'candidate-label': withDefault('The label of the candidate under test', 'ceph-ci-testing', candidateLabelSchema),
  title: withDefault('The title of the page', 'Ceph promotions', lineSchema),
  'target-age': withDefault('How old the newest promotion of a branch may be', '14 days', durationSchema),
  'heartbeat-age': withDefault('How long ago the newest run of a branch may be', '4 days', durationSchema),
  'dlrn-label': withDefault(
    'With a DLRN API: the label whose newest 50 aggregate hashes are looked at',
    'current-tripleo',
    lineSchema,
  ),
  username: optional('DLRN user, where reading needs one', lineSchema),
  password: dlrnInputs.password,
  'zuul-url': optional('With `nightly-jobs`: what `/api/tenant/…` is below', urlSchema),
  'zuul-tenant': optional('With `nightly-jobs`: the tenant', lineSchema),
  'nightly-jobs': list(
    'Jobs of Zuul that test development builds, one a line, to show the newest builds of',
    jobNameSchema,
  ),
  output: withDefault('The directory to write to', 'dashboard', lineSchema),
  ...storeInputs,
  server: optional(
    `${storeInputs.server.description}, to put the files to as well, each at once; not that of a branch`,
    storeSchema,
  ),
  'ssh-private-key': {
    ...storeInputs['ssh-private-key'],
    description:
      'Private key for `server` and `sftp://` branches, of any type that OpenSSH writes; empty: the agent at SSH_AUTH_SOCK',
  },
  ...caInput,
  'dry-run': flag('Read and render, and write nothing', 'false'),
};

type Settings = ParsedInputs<typeof inputs>;

export const action = defineAction({
  description: 'Writes a page, metrics, a badge and a feed that say what is promoted and what blocks',
  needs:
    'nothing: it reads over HTTP. For branches at `sftp://…`, an SFTP user that may read there; with `server`, one that may write there.',
  inputs,
  outputs: {
    page: 'The path of the page; empty in a dry run',
    metrics: 'The path of the metrics; empty in a dry run',
  },
  async run(inputs, { log, context }) {
    const output = path.resolve(context.workspace, inputs.output);
    const dryRun = inputs['dry-run'];
    const http = await smallApis(log, inputs);
    const sftp = sftpFrom(inputs, log);
    const model = await publishDashboard({
      branches: inputs.branches.map((line) => branchFrom(line, inputs, sftp, http, log)),
      settings: {
        title: inputs.title,
        label: inputs['promoted-label'],
        candidateLabel: inputs['candidate-label'],
        targetAge: inputs['target-age'],
        heartbeatAge: inputs['heartbeat-age'],
      },
      readNightly: nightlyFrom(inputs, http),
      ...published(inputs.server, output, sftp),
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

type WithSftp = <T>(server: StoreAddress, work: (there: Store) => Promise<T>) => Promise<T>;

/** Of all servers: one user's key, and the hosts that are known. */
function sftpFrom(settings: Settings, log: Log): WithSftp {
  const { server, branches, 'ssh-known-hosts': knownHosts } = settings;
  const used = [...(server === undefined ? [] : [server]), ...branches.map(({ where }) => where)];
  const isUsed = used.some((where) => !(where instanceof URL || isInGit(where)));
  if (isUsed && knownHosts === undefined) {
    throw new UserError(
      `input ssh-known-hosts: required with server and sftp:// branches: ${inputs['ssh-known-hosts'].description}`,
    );
  }
  return (server, work) => withStore({ ...settings, server }, log, work);
}

function branchFrom(
  { branch, where, dlrn: dlrnUrl }: Settings['branches'][number],
  settings: Settings,
  sftp: WithSftp,
  http: Http,
  log: Log,
): Branch {
  const scope = { kind: 'label', label: settings['dlrn-label'] } as const;
  const dlrn = dlrnUrl && dlrnFrom(settings, dlrnUrl, http, log);
  return {
    branch,
    url: where instanceof URL ? where.href : formatStore(where),
    withFiles: (read) =>
      where instanceof URL ? read(filesOverHttp(http, where)) : sftp(where, (there) => read(filesOverSftp(there))),
    dlrn: dlrn && { url: dlrnUrl.href, votes: (jobs) => dlrnEvidence(dlrn, scope, jobs, log) },
  };
}

/** Where the dashboard of the run before is, and where this one's goes besides `output`. */
function published(
  server: StoreAddress | undefined,
  output: string,
  sftp: WithSftp,
): Pick<PublishOptions, 'readBefore' | 'upload'> {
  if (server === undefined)
    return { readBefore: () => readFile(path.join(output, DATA_FILE), 'utf8'), upload: undefined };
  return {
    readBefore: () => sftp(server, (there) => there.readPage(DATA_FILE, MAX_DATA_BYTES)),
    upload: (files) =>
      sftp(server, async (there) => {
        for (const [name, text] of files) await there.writePage(name, text);
      }),
  };
}
