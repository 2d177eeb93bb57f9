import path from 'node:path';
import * as v from 'valibot';
import { systemClock } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { durationSchema } from '../base/schema.js';
import { jobNameSchema } from '../criteria/job-result.js';
import type { Http } from '../http/policy.js';
import { labelSchema } from '../image-server/names.js';
import { serverSchema } from '../image-server/server-url.js';
import { branchWords, publishDashboard } from '../monitoring/dashboard.js';
import type { NightlyJob } from '../monitoring/model.js';
import { readNightlyJobs } from '../monitoring/nightly.js';
import { defineAction } from '../runner/action.js';
import {
  flag,
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  textSchema,
  urlSchema,
  withDefault,
} from '../runner/inputs.js';
import { smallApis } from './shared/http.js';
import { imageServerInputs, withImageServer } from './shared/image-server-inputs.js';

/** `<branch> <url>`. */
const branchLineSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}\s+\S+$/,
    (issue) => `${issue.received} is not a branch and a URL, such as \`master https://host/ceph/daemon/master\``,
  ),
  v.transform((line) => {
    const [branch = '', url = ''] = line.split(/\s+/);
    return { branch, url };
  }),
  v.object({ branch: v.string(), url: urlSchema }),
);

const inputs = {
  branches: {
    ...list(
      'The branches, one a line: `<branch> <url>`, with the URL of the directory that its labels and ledger are in',
      branchLineSchema,
    ),
    absent: 'error' as const,
  },
  label: withDefault('The promoted label', 'current-ceph', labelSchema),
  'candidate-label': withDefault('The label of the candidate under test', 'ceph-ci-testing', labelSchema),
  title: withDefault('The title of the page', 'Ceph promotions', lineSchema),
  'target-age': withDefault('How old the newest promotion of a branch may be', '14 days', durationSchema),
  'heartbeat-age': withDefault('How long ago the newest run of a branch may be', '4 days', durationSchema),
  'zuul-url': optional('With `nightly-jobs`: what `/api/tenant/…` is below', urlSchema),
  'zuul-tenant': optional('With `nightly-jobs`: the tenant', lineSchema),
  'nightly-jobs': list(
    'Jobs of Zuul that test development builds, one a line, to show the newest builds of',
    jobNameSchema,
  ),
  output: withDefault('The directory to write to', 'dashboard', lineSchema),
  ...imageServerInputs,
  server: optional(
    `${imageServerInputs.server.description}, to put the files to as well, each at once; not that of a branch`,
    serverSchema,
  ),
  'ssh-known-hosts': optional(imageServerInputs['ssh-known-hosts'].description, textSchema),
  'dry-run': flag('Read and render, and write nothing', 'false'),
};

export const action = defineAction({
  description: 'Writes a page, metrics, a badge and a feed that say what is promoted and what blocks',
  needs: 'nothing: it reads the image server over HTTP. With `server`, an SFTP user that may write there.',
  inputs,
  outputs: {
    page: 'The path of the page; empty in a dry run',
    metrics: 'The path of the metrics; empty in a dry run',
  },
  async run(inputs, { log, context }) {
    const output = path.resolve(context.workspace, inputs.output);
    const dryRun = inputs['dry-run'];
    const http = smallApis(log);
    const model = await publishDashboard({
      branches: inputs.branches,
      settings: {
        title: inputs.title,
        label: inputs.label,
        candidateLabel: inputs['candidate-label'],
        targetAge: inputs['target-age'],
        heartbeatAge: inputs['heartbeat-age'],
      },
      readNightly: nightlyFrom(inputs, http),
      output,
      dryRun,
      upload: uploadTo(inputs, log),
      http,
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
  { 'zuul-url': url, 'zuul-tenant': tenant, 'nightly-jobs': jobs }: ParsedInputs<typeof inputs>,
  http: Http,
): () => Promise<NightlyJob[]> {
  if (jobs.length === 0) return async () => [];
  if (url === undefined) throw new UserError('input zuul-url: required with nightly-jobs');
  if (tenant === undefined) throw new UserError('input zuul-tenant: required with nightly-jobs');
  return () => readNightlyJobs({ http, url, tenant }, jobs);
}

function uploadTo(
  { server, 'ssh-known-hosts': knownHosts, 'ssh-private-key': privateKey }: ParsedInputs<typeof inputs>,
  log: Log,
): ((files: ReadonlyMap<string, string>) => Promise<void>) | undefined {
  if (server === undefined) return undefined;
  if (knownHosts === undefined) {
    throw new UserError(`input ssh-known-hosts: required with server: ${inputs['ssh-known-hosts'].description}`);
  }
  const settings = { server, 'ssh-known-hosts': knownHosts, 'ssh-private-key': privateKey };
  return (files) =>
    withImageServer(settings, log, async (there) => {
      for (const [name, text] of files) await there.writePage(name, text);
    });
}
