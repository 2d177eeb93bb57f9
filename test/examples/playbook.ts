import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';

export interface PlaybookRun {
  readonly status: number | null;
  readonly said: string;
  /** What Zuul would take over from the job; undefined where nothing was returned. */
  readonly returned: unknown;
}

const ROLES = join(projectRoot, 'roles');

export interface PlaybookSettings {
  /** Where roles are; this project's where it is absent. */
  readonly roles?: string;
  /** The program and its first arguments; the sandbox's ansible-playbook where it is absent. */
  readonly ansible?: readonly string[];
  /** A directory of programs that come before all others. */
  readonly programs?: string;
  /** A directory for facts that later playbooks of the same job see, as Zuul keeps them. */
  readonly facts?: string;
}

/** Zuul's own zuul_return, alone: other plugins beside it are for its executor only. */
function zuulReturn(python: string): string {
  const lib = join(dirname(python), '../lib');
  const [version = ''] = readdirSync(lib);
  return join(lib, version, 'site-packages/zuul/ansible/base/action/zuul_return.py');
}

/** Runs tasks, or a playbook, on this host with the real ansible-playbook and the real zuul_return. */
export async function runPlaybook(
  play: readonly unknown[] | string,
  variables: Readonly<Record<string, unknown>>,
  args: readonly string[] = [],
  { roles = ROLES, ansible = [sandbox().tools.ansiblePlaybook], programs, facts }: PlaybookSettings = {},
): Promise<PlaybookRun> {
  const { python } = sandbox().tools;
  const directory = await mkdtemp(join(tmpdir(), 'ansible-'));
  const [playbook, vars] = [join(directory, 'play.yml'), join(directory, 'vars.json')];
  const results = join(directory, 'work/results.json');
  await mkdir(dirname(results));
  await writeFile(results, '');
  await cp(zuulReturn(python), join(directory, 'action/zuul_return.py'));
  if (typeof play !== 'string') {
    await writeFile(playbook, stringify([{ hosts: 'all', gather_facts: false, tasks: play }]));
  }
  await writeFile(vars, JSON.stringify({ ...variables, ansible_python_interpreter: python }));
  const all = [
    '-i',
    'localhost,',
    '-c',
    'local',
    '-e',
    `@${vars}`,
    ...args,
    typeof play === 'string' ? play : playbook,
  ];
  const child = spawn(ansible[0] ?? '', [...ansible.slice(1), ...all], {
    cwd: directory,
    env: {
      PATH: [programs, dirname(process.execPath), process.env.PATH].filter((one) => one !== undefined).join(delimiter),
      HOME: directory,
      LC_ALL: 'C.UTF-8',
      ANSIBLE_ROLES_PATH: roles,
      ...(facts !== undefined && { ANSIBLE_CACHE_PLUGIN: 'jsonfile', ANSIBLE_CACHE_PLUGIN_CONNECTION: facts }),
      ANSIBLE_ACTION_PLUGINS: join(directory, 'action'),
      ANSIBLE_NOCOLOR: '1',
      ZUUL_JOBDIR: directory,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const text = await readFile(results, 'utf8');
  await rm(directory, { recursive: true });
  return { status, said, returned: text === '' ? undefined : JSON.parse(text).data };
}
