import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock, unixSeconds } from '../base/clock.js';
import { repositorySchema } from '../candidate/reference.js';
import { candidateLabelSchema, promotedLabelSchema } from '../ledger/names.js';
import { targetRepositories } from '../rules/targets.js';
import { defineAction, type Runner } from '../runner/action.js';
import {
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  secret,
  textSchema,
  urlSchema,
  withDefault,
} from '../runner/inputs.js';
import { isInGit, storeSchema } from '../store/address.js';
import { type Check, checkSetup, explainSetup, type Setup } from '../upkeep/setup.js';
import {
  type ActionInputs,
  evidenceInNeeds,
  namesZuul,
  readActionInputs,
  readWorkflow,
  wrongInputs,
} from '../upkeep/workflow-inputs.js';
import { readCriteriaText } from './shared/criteria-input.js';
import { dlrnFrom } from './shared/dlrn-inputs.js';
import { wordHint } from './shared/hints.js';
import { smallApis } from './shared/http.js';
import { readInputFile } from './shared/input-file.js';
import { registryInputs, targetInputs, withRegistry } from './shared/registry-inputs.js';
import { readSigning, signingInputs } from './shared/signing-inputs.js';
import { readableSchema, storeInputs, withReader, withStore } from './shared/store-inputs.js';
import { targetsDescription, targetsSchema } from './shared/targets-input.js';

const inputs = {
  image: withDefault('The repository that candidates come from', 'quay.io/ceph/ceph', repositorySchema),
  ...registryInputs,
  targets: optional(targetsDescription, targetsSchema),
  ...targetInputs,
  ...storeInputs,
  server: optional(storeInputs.server.description, storeSchema),
  'promoted-label': withDefault(
    'The label that is moved, and the moving tag at the targets',
    'current-ceph',
    promotedLabelSchema,
  ),
  'ledger-key': secret("HMAC key that seals the ledger's records; empty: seals are not checked"),
  url: optional(
    'The store as its readers see it: the `https://` URL of its directory, or an address as for `server`, such as `git`',
    readableSchema,
  ),
  label: withDefault('The label of the candidate', 'ceph-ci-testing', candidateLabelSchema),
  'dlrn-url': optional('The DLRN API, as `https://trunk.rdoproject.org/api-centos9-master-uc`', urlSchema),
  username: optional('DLRN user', lineSchema),
  password: secret('Its password'),
  criteria: optional(
    'The criteria: a file, or YAML. They are parsed, waivers that end soon are named, and so are jobs that nobody reports',
    textSchema,
  ),
  workflows: list(
    'Workflow files, one per line. Their inputs are compared with those that our actions have, and their `needs` with the jobs in the criteria; empty: all in `.github/workflows`',
    lineSchema,
  ),
  ...signingInputs,
};

export const action = defineAction({
  description: 'Checks a setup: what is set, what works, and what to do about the rest. It only reads',
  needs: 'what the other actions need. What is not set is not checked.',
  inputs,
  outputs: {
    wrong: 'How many checks found something wrong',
    'not-set': 'How many checks were left out because their inputs are not set',
  },
  async run(settings, runner) {
    const targets = settings.targets === undefined ? [] : targetRepositories(settings.targets);
    const setup = await setupOf(settings, runner);
    const found = await withRegistry(settings, runner.log, { source: settings.image, targets }, (registry) =>
      checkSetup({ ...setup, registry, targets }),
    );
    const checks = found.map((check) => ({ ...check, line: withHint(check) }));
    const wrong = checks.filter(({ state }) => state === 'wrong');
    for (const { what, state, line } of checks) if (state === 'warning') runner.log.warning(`${what}: ${line}`);
    return {
      outputs: {
        wrong: String(wrong.length),
        'not-set': String(checks.filter(({ state }) => state === 'not set').length),
      },
      summary: explainSetup(checks),
      ...(wrong.length > 0 && { failure: wrong.map(({ what, line }) => `${what}: ${line}`).join('; ') }),
    };
  },
});

function withHint({ line, hint }: Check): string {
  return hint === undefined ? line : `${line}; ${wordHint(hint, inputs)}`;
}

async function setupOf(
  settings: ParsedInputs<typeof inputs>,
  { log, context }: Runner,
): Promise<Omit<Setup, 'registry' | 'targets'>> {
  const http = await smallApis(log, settings);
  const { image, server, 'ssh-private-key': key, 'ssh-known-hosts': knownHosts, url, criteria } = settings;
  const canLogIn = key !== undefined || Boolean(process.env.SSH_AUTH_SOCK);
  const label = settings['promoted-label'];
  const found = await readWorkflows(settings.workflows, context.workspace);
  return {
    image,
    hasTargetLogin: settings['target-username'] !== undefined,
    withServer:
      server === undefined || (!isInGit(server) && (knownHosts === undefined || !canLogIn))
        ? undefined
        : (work) => withStore({ ...settings, server }, log, work),
    label,
    candidateLabel: settings.label,
    rules: { label, key: settings['ledger-key'] },
    withReader: url && ((work) => withReader(url, settings, http, log, work)),
    dlrn: settings['dlrn-url'] && dlrnFrom(settings, settings['dlrn-url'], http, log),
    hasDlrnLogin: settings.username !== undefined,
    criteria: criteria === undefined ? undefined : () => readCriteriaText(criteria, context.workspace),
    ...found,
    // A Zuul job reads its evidence from Zuul without a workflow.
    readsZuul: found.readsZuul || context.pipeline !== undefined,
    readSigner: () => readSigning(settings, context)?.signer,
    now: unixSeconds(systemClock),
  };
}

const WORKFLOWS = '.github/workflows';

/** Reads workflow files, and compares them with our actions, whose directories are next to this one's. */
async function readWorkflows(
  named: readonly string[],
  workspace: string,
): Promise<Pick<Setup, 'workflows' | 'neededJobs' | 'readsZuul'>> {
  const folder = path.join(workspace, WORKFLOWS);
  const found =
    named.length > 0 || !existsSync(folder) ? [] : (await readdir(folder)).filter((file) => /\.ya?ml$/.test(file));
  const files = named.length > 0 ? named : found.map((file) => `${WORKFLOWS}/${file}`);
  // dist/check-setup/index.js
  const actions = path.resolve(process.argv[1] ?? '', '../../../actions');
  const inputsOf = (action: string): ActionInputs | undefined => {
    const file = path.join(actions, action, 'action.yml');
    return existsSync(file) ? readActionInputs(readFileSync(file, 'utf8')) : undefined;
  };
  const workflows = new Map<string, readonly string[]>();
  const neededJobs: string[] = [];
  let readsZuul = false;
  for (const file of [...files].sort()) {
    const read = readWorkflow(await readInputFile('workflows', file, workspace));
    workflows.set(file, 'problem' in read ? [read.problem] : wrongInputs(read.value, inputsOf));
    if (!('value' in read)) continue;
    neededJobs.push(...evidenceInNeeds(read.value));
    readsZuul ||= namesZuul(read.value);
  }
  return { workflows, neededJobs, readsZuul };
}
