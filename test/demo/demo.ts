import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { sandboxHome } from '../sandbox/project.js';
import { type BranchName, type SandboxInfo, startSandbox } from '../sandbox/sandbox.js';
import { runWorkflow } from './act.js';
import { showSandboxHistory } from './history.js';
import { promoteLivingImage } from './living.js';
import { tellStory } from './story.js';
import { seconds, tellRun } from './telling.js';

/**
 * Runs the real workflow with the real act against real servers on loopback, for two branches, and for one of them the
 * alternative without DLRN, and shows the result. Then it shows a reject, a force, a rollback and a regression. The
 * registries' and the image server's data stay in .sandbox/demo, so that a second run finds what the first did.
 */

const BRANCHES: readonly BranchName[] = ['master', 'wallaby'];
const HOME = path.join(sandboxHome, 'demo');
const LOGS = path.join(HOME, 'logs');
const PAGE = 'ceph/daemon/dashboard/index.html';
const started = Date.now();

const say = (line = '') => process.stdout.write(`${line}\n`);
const sinceStart = () => seconds(Date.now() - started);

/** The newest record of a branch's ledger; undefined where nothing was promoted. */
type RecordFile = v.InferOutput<typeof ledgerRecordSchema>;

async function newestRecord(info: SandboxInfo, branch: BranchName): Promise<RecordFile | undefined> {
  const ledger = path.join(info.imageServer.branches[branch].path, 'ledger/current-ceph');
  let n = 1;
  while (existsSync(path.join(ledger, `${n}.json`))) n += 1;
  if (n === 1) return undefined;
  return v.parse(ledgerRecordSchema, JSON.parse(await readFile(path.join(ledger, `${n - 1}.json`), 'utf8')));
}

async function run(info: SandboxInfo): Promise<void> {
  const newest = () => Promise.all(BRANCHES.map((branch) => newestRecord(info, branch)));
  mkdirSync(LOGS, { recursive: true });
  const before = await newest();
  for (const [index, { workflow, inputs, what }] of RUNS.entries()) {
    say(`\n== ${index + 1} of ${RUNS.length}: .github/workflows/${workflow} for branch ${inputs.branch}: ${what}`);
    const file = path.join(LOGS, `${index + 1}-${inputs.branch}-${workflow.replace('.yml', '.log')}`);
    const work = (onLine: (line: string) => void) => runWorkflow(info, workflow, { inputs }, onLine);
    const status = await tellRun(work, { say, file, now: Date.now });
    if (status !== 0) throw new Error(`${workflow} ended with ${status}`);
  }
  const after = await newest();

  say('\n== What is promoted');
  for (const [index, branch] of BRANCHES.entries()) {
    const record = after[index];
    if (record === undefined) throw new Error(`${branch}: nothing was promoted`);
    show(info, branch, record, before[index]?.n === record.n);
  }
  say();
  const unchanged = after.every((record, index) => record?.n === before[index]?.n);
  if (unchanged) say('Nothing changed: all this was promoted before.');
  say('\n== The same for quay.io/ceph/ceph, the image that Ceph builds today: a release, and its rebuild');
  await promoteLivingImage(info, say);
  say('\n== On other days (each is one run of evaluate-and-promote, on a label of its own)');
  await tellStory(info, say);
  say();
  const historyPage = await showSandboxHistory(info);
  say(`Dashboard of these runs:               file://${path.join(info.imageServer.root, PAGE)}`);
  say(`Dashboard of months, of sandbox data:  file://${path.join(info.imageServer.root, historyPage)}`);
  const again = unchanged ? '' : 'Run it again: nothing changes. ';
  say(`Done in ${sinceStart()}. ${again}To start again from nothing: rm -r ${path.relative(process.cwd(), HOME)}`);
}

const RUNS = [
  ...BRANCHES.map((branch) => ({ workflow: 'promotion.yml', inputs: { branch }, what: 'find, test, report, promote' })),
  {
    workflow: 'promotion-by-needs.yml',
    inputs: { branch: 'wallaby', flavor: 'pacific' },
    what: 'the alternative without DLRN, whose own jobs are the evidence; its candidate is promoted already',
  },
];

function show(info: SandboxInfo, branch: BranchName, record: RecordFile, unchanged: boolean): void {
  say(`${branch}: ${unchanged ? 'nothing changed since' : 'promoted by'} ledger record ${record.n}, ${record.kind}`);
  say(`  tag     ${record.targets[0]?.tag}`);
  say(`  digest  ${record.targets[0]?.digest}`);
  for (const { repository, tag } of record.targets) say(`  image   ${repository}:${tag}, ${repository}:current-ceph`);
  say(`  label   ${info.imageServer.branches[branch].url}/current-ceph`);
}

/** How to reach servers that keep running. */
function tell({ source, target, imageServer, dlrn }: SandboxInfo): void {
  const { sshd, web } = imageServer;
  say('\n== The servers stay up until you press Ctrl-C');
  say(`source registry  curl ${source.url}/v2/ceph/daemon/tags/list`);
  // Not printed: terminals are logged, too.
  const keep = (name: string, text: string) => {
    const file = path.join(HOME, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const login = keep('target-login', `${target.login.username}:${target.login.password}`);
  const key = keep('sftp-key', sshd.privateKey);
  const knownHosts = keep('known-hosts', `${sshd.knownHosts}\n`);
  say(`target registry  curl -u "$(cat ${login})" ${target.url}/v2/_catalog`);
  say(`image server     sftp -P ${sshd.port} -i ${key} -o UserKnownHostsFile=${knownHosts} ${sshd.username}@127.0.0.1`);
  say(`                 curl ${web.url}/ceph/daemon/master/current-ceph`);
  say(`                 ${web.url}/${PAGE}`);
  for (const branch of BRANCHES) {
    say(
      `DLRN ${branch.padEnd(11)} curl '${dlrn.branches[branch].url}/api/agg_status?aggregate_hash=${dlrn.branches[branch].hashes[0]}'`,
    );
  }
}

/** Resolves at Ctrl-C. The timer keeps this process up: the servers' handles do not. */
async function interrupted(): Promise<void> {
  const timer = setInterval(() => undefined, 60_000);
  await new Promise((resolve) => process.once('SIGINT', resolve));
  clearInterval(timer);
}

async function main(keep: boolean): Promise<void> {
  say('== Servers');
  const sandbox = await startSandbox(say, HOME);
  say(`Registries, sshd, nginx and DLRN are up after ${sinceStart()}.`);
  try {
    await run(sandbox.info);
    if (keep) {
      tell(sandbox.info);
      await interrupted();
    }
  } finally {
    await sandbox.stop();
  }
  if (!keep) say('The servers are stopped; `npm run demo -- --keep` leaves them up to look at.');
}

main(process.argv.includes('--keep')).catch((error: unknown) => {
  say(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
