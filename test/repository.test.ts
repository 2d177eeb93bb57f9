import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { sandbox } from './sandbox/current.js';
import { projectRoot } from './sandbox/project.js';

/** What the repository promises of its own files. */

const run = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { cwd: projectRoot }).then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );

const actions = readdirSync(join(projectRoot, 'actions'));

test('actions, READMEs, schemas and the Grafana dashboard are what the code says', async () => {
  expect(await run(process.execPath, ['build/scripts/describe.js', '--check'])).toBe('');
  expect(await run(process.execPath, ['build/scripts/schemas.js', '--check'])).toBe('');
  expect(await run(process.execPath, ['build/scripts/grafana.js', '--check'])).toBe('');
}, 60_000);

test('there is a bundle, a description and a README for each entry, and no other', () => {
  const entries = readdirSync(join(projectRoot, 'src/actions')).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  expect(actions).toEqual(entries.sort());
  const bundles = readdirSync(join(projectRoot, 'dist'), { withFileTypes: true });
  expect(bundles.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(actions);
});

test.each(actions)('%s: one step, every input handed on by the name that the bundle reads', (name) => {
  const action = parse(readFileSync(join(projectRoot, 'actions', name, 'action.yml'), 'utf8'));
  const inputs = Object.keys(action.inputs);
  expect(action.runs.steps).toEqual([
    {
      name: expect.any(String),
      id: 'run',
      shell: 'bash',
      env: Object.fromEntries(inputs.map((input) => [`INPUT_${input.toUpperCase()}`, `\${{ inputs.${input} }}`])),
      run: `node "$GITHUB_ACTION_PATH/../../dist/${name}/index.js"`,
    },
  ]);
});

describe('no findings', () => {
  test('by actionlint', async () => {
    expect(await run(sandbox().tools.actionlint, [])).toBe('');
    const examples = 'examples/downstream/.github/workflows';
    const files = readdirSync(join(projectRoot, examples)).map((file) => join(examples, file));
    expect(await run(sandbox().tools.actionlint, files)).toBe('');
  }, 60_000);

  test('by zizmor', async () => {
    const args = ['--offline', '--persona=pedantic', '--quiet', '.github', 'actions', 'examples'];
    expect(await run(sandbox().tools.zizmor, args)).toBe('');
  }, 60_000);
});
