import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';

export interface PlaybookRun {
  readonly status: number | null;
  readonly said: string;
  /** What was handed to zuul_return, one call after the other. */
  readonly returned: readonly unknown[];
}

const ROLES = ['examples/zuul/roles', 'examples/ansible/roles'].map((roles) => join(projectRoot, roles));

/** Runs tasks, or a playbook, on this host with the real ansible-playbook; `zuul_return` is the stub beside this file. */
export async function runPlaybook(
  play: readonly unknown[] | string,
  variables: Readonly<Record<string, unknown>>,
  args: readonly string[] = [],
): Promise<PlaybookRun> {
  const { ansiblePlaybook, python } = sandbox().tools;
  const directory = await mkdtemp(join(tmpdir(), 'ansible-'));
  const [playbook, vars, zuulReturn] = ['play.yml', 'vars.json', 'returned'].map((name) => join(directory, name));
  if (playbook === undefined || vars === undefined || zuulReturn === undefined) throw new TypeError();
  if (typeof play !== 'string') {
    await writeFile(playbook, stringify([{ hosts: 'all', gather_facts: false, tasks: play }]));
  }
  await writeFile(vars, JSON.stringify({ ...variables, ansible_python_interpreter: python }));
  await writeFile(zuulReturn, '');
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
  const child = spawn(ansiblePlaybook, all, {
    cwd: directory,
    env: {
      PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
      HOME: directory,
      LC_ALL: 'C.UTF-8',
      ANSIBLE_ROLES_PATH: ROLES.join(delimiter),
      ANSIBLE_LIBRARY: join(projectRoot, 'test/examples/zuul-return'),
      ANSIBLE_NOCOLOR: '1',
      ZUUL_RETURN: zuulReturn,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = (await readFile(zuulReturn, 'utf8')).split('\n').filter((line) => line !== '');
  await rm(directory, { recursive: true });
  return { status, said, returned: lines.map((line): unknown => JSON.parse(line)) };
}
