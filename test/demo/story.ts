import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { type BundleRun, DISPATCH, runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { makeImageDirectory, type SandboxInfo } from '../sandbox/sandbox.js';
import { tellingLines } from './telling.js';

/** What happens on other days, each by one run of evaluate-and-promote on a label of its own. */

type Results = Readonly<Record<string, 'success' | 'failure'>>;

interface Scene {
  readonly title: string;
  readonly version: string;
  readonly results?: Results;
  /** What a person asks for; without it, the run is a scheduled one. */
  readonly decision?: Readonly<Record<string, string>>;
  /** The rows of the summary that the scene is about. */
  readonly rows: readonly string[];
}

const PASSED: Results = { scenario001: 'success', scenario004: 'success' };
const FAILED: Results = { ...PASSED, scenario004: 'failure' };
const TAGS: Readonly<Record<string, string>> = {
  old: 'v6.0.5-stable-6.0-pacific-centos-8',
  good: 'v6.0.6-stable-6.0-pacific-centos-8',
  bad: 'v6.0.7-stable-6.0-pacific-centos-stream8',
};
const tagOf = (version: string) => TAGS[version] ?? '';

const BEFORE: readonly Scene[] = ['old', 'good'].map((version) => ({
  title: '',
  version,
  results: PASSED,
  rows: [],
}));

const SCENES: readonly Scene[] = [
  { title: 'A test fails on the next candidate', version: 'bad', results: FAILED, rows: ['Promoted now'] },
  {
    title: 'alice cannot wait: she forces it, and has to name what she skips',
    version: 'bad',
    results: FAILED,
    decision: {
      'force-tag': tagOf('bad'),
      'force-confirm': tagOf('bad'),
      'skip-jobs': 'scenario004',
      'force-reason': 'the customer waits for this fix',
    },
    rows: ['Skipped', 'Overridden', 'Previous'],
  },
  {
    title: 'It was a bad idea: she rolls back',
    version: 'bad',
    decision: { 'rollback-to': 'previous', 'force-reason': 'OSDs do not start' },
    rows: ['On hold', 'Previous'],
  },
  {
    title: 'The next scheduled run does not undo that, although all tests pass now',
    version: 'bad',
    results: PASSED,
    rows: ['Promoted now'],
  },
  {
    title: 'A job that the promoted image had passed fails now',
    version: 'good',
    results: { ...PASSED, scenario001: 'failure' },
    rows: ['Regressed'],
  },
];

/** Plays the scenes in a directory and a target of their own, and tells each in a few lines. */
export async function tellStory(
  { source, target, imageServer }: SandboxInfo,
  say: (line?: string) => void,
): Promise<void> {
  const name = `story-${randomUUID()}`;
  const directory = await makeImageDirectory(imageServer, name);
  const image = `${source.host}/ceph/daemon`;
  const settings = {
    image,
    evidence: 'needs',
    criteria: 'current-ceph: {required: [scenario001, scenario004]}',
    targets: `${target.host}/${name}/daemon`,
    'target-username': target.login.username,
    'target-password': target.login.password,
    server: directory.server,
    'ssh-private-key': imageServer.sshd.privateKey,
    'ssh-known-hosts': imageServer.sshd.knownHosts,
    'allowed-actors': 'alice',
    workflow: 'promotion.yml',
  };
  const play = async ({ version, results, decision }: Scene): Promise<BundleRun> => {
    const reference = `${image}:${tagOf(version)}@${cephDaemonImage(tagOf(version)).digest}`;
    const run = await runBundle(
      'evaluate-and-promote',
      {
        ...settings,
        ...(results !== undefined && { reference, needs: needsOf(results, reference) }),
        ...decision,
      },
      { ...DISPATCH, GITHUB_EVENT_NAME: decision === undefined ? 'schedule' : 'workflow_dispatch' },
    );
    if (run.status !== 0) throw new Error(`evaluate-and-promote: ${run.errors.join('; ')}`);
    return run;
  };
  try {
    for (const scene of BEFORE) await play(scene);
    for (const scene of SCENES) {
      const { summary } = await play(scene);
      say(`\n${scene.title}:`);
      for (const line of tellingLines(summary, scene.rows)) say(`  ${line}`);
    }
  } finally {
    await rm(directory.path, { recursive: true, force: true });
  }
}

/** `${{ toJSON(needs) }}` of a workflow with these results. */
function needsOf(results: Results, reference: string): string {
  return JSON.stringify(
    Object.fromEntries(Object.entries(results).map(([job, result]) => [job, { result, outputs: { reference } }])),
  );
}
