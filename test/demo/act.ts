import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { projectRoot } from '../sandbox/project.js';
import type { SandboxInfo } from '../sandbox/sandbox.js';

/** The variables of a repository that runs the workflows, for the servers of a sandbox. */
export function repositorySettings({ source, target, imageServer, dlrn }: SandboxInfo) {
  const { sshd, web, root } = imageServer;
  const directory = 'ceph/daemon';
  return {
    variables: {
      CEPH_IMAGE: `${source.host}/ceph/daemon`,
      // Both branches were on pacific when the listing was taken.
      CEPH_FLAVOR_MASTER: 'pacific',
      CEPH_FLAVOR_WALLABY: 'pacific',
      NIGHTLY_IMAGE: `${source.host}/ceph/daemon`,
      NIGHTLY_TAG_MASTER: 'latest-pacific-devel',
      NIGHTLY_TAG_WALLABY: 'latest-pacific-devel',
      IMAGE_SERVER: `sftp://${sshd.username}@127.0.0.1:${sshd.port}${root}/${directory}`,
      IMAGE_SERVER_URL: `${web.url}/${directory}`,
      IMAGE_SERVER_KNOWN_HOSTS: sshd.knownHosts,
      DLRN_SERVER: `http://127.0.0.1:${dlrn.port}`,
      TARGET_REGISTRY: target.host,
      PROMOTION_ALLOWED_ACTORS: 'alice',
    },
    secrets: {
      PUBLISH_SSH_KEY: sshd.privateKey,
      PROMOTE_SSH_KEY: sshd.privateKey,
      DLRN_USERNAME: dlrn.login.username,
      DLRN_PASSWORD: dlrn.login.password,
      TARGET_REGISTRY_USERNAME: target.login.username,
      TARGET_REGISTRY_PASSWORD: target.login.password,
      // The same for every run: it seals a ledger that stays.
      LEDGER_KEY: 'a-key-that-seals-the-ledger-of-the-sandbox',
    },
  };
}

/** No containers, act's own servers on loopback only, and an actor who may force. */
export const ACT_OPTIONS: readonly string[] = [
  ...['-P', 'ubuntu-24.04=-self-hosted', '--actor', 'alice'],
  ...['--cache-server-addr', '127.0.0.1', '--artifact-server-addr', '127.0.0.1'],
  ...['--env', `BASH_ENV=${path.join(projectRoot, 'test/demo/let-act-read.sh')}`],
];

export interface WorkflowRun {
  readonly status: number;
  /** Everything that act printed. */
  readonly log: string;
}

/** The differences between one run and the next. */
export interface WorkflowSettings {
  readonly inputs?: Readonly<Record<string, string>>;
  /** In addition to those of the sandbox, or instead of them. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Instead of those of the sandbox. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** The one value of a matrix that is run, as in `{ branch: 'master' }`; empty: all. */
  readonly matrix?: Readonly<Record<string, string>>;
}

/** A repository in which nothing is set, with a target that anyone may read, as on Quay. */
export function forkSettings({ source }: SandboxInfo) {
  return { variables: { IMAGE_SERVER_KNOWN_HOSTS: '', TARGET_REGISTRY: source.host }, secrets: {} };
}

/** Runs a workflow of this project with act, without containers, and passes on each line as it comes. */
export async function runWorkflow(
  info: SandboxInfo,
  workflow: string,
  { inputs = {}, variables: moreVariables = {}, matrix = {}, ...other }: WorkflowSettings,
  onLine: (line: string) => void = () => undefined,
): Promise<WorkflowRun> {
  const { variables, secrets } = { ...repositorySettings(info), ...other };
  const directory = await mkdtemp(path.join(tmpdir(), 'act-'));
  // Secrets are passed in a file, since every process on the machine can read arguments.
  const [varFile, secretFile] = [path.join(directory, 'vars'), path.join(directory, 'secrets')];
  await writeFile(varFile, dotenv({ ...variables, ...moreVariables }));
  await writeFile(secretFile, dotenv(secrets), { mode: 0o600 });
  const repository = path.join(directory, 'repository');
  await copyCallable(repository);
  await promisify(execFile)('git', ['init', '--quiet', repository]);
  try {
    const child = spawn(
      info.tools.act,
      [
        'workflow_dispatch',
        ...['-W', `.github/workflows/${workflow}`],
        ...ACT_OPTIONS,
        ...['--var-file', varFile, '--secret-file', secretFile],
        ...Object.entries(inputs).flatMap(([name, value]) => ['--input', `${name}=${value}`]),
        ...Object.entries(matrix).flatMap(([name, value]) => ['--matrix', `${name}:${value}`]),
      ],
      { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        lines.push(line);
        onLine(line);
      });
    }
    const [status] = await once(child, 'close');
    return { status, log: lines.join('\n') };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What the workflows use of this repository: act copies all of it for each job, so node_modules must not be included. */
export async function copyCallable(folder: string): Promise<void> {
  for (const part of ['actions', 'dist', '.github']) {
    await cp(path.join(projectRoot, part), path.join(folder, part), { recursive: true });
  }
}

/** A file of variables for act, whose parser loses a quote that ends a value. */
export function dotenv(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(
      ([name, value]) =>
        `${name}="${value
          .trim()
          .replace(/["$\\]/g, '\\$&')
          .replaceAll('\n', '\\n')}"\n`,
    )
    .join('');
}
