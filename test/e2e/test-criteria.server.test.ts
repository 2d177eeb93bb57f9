import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { projectRoot } from '../sandbox/project.js';
import { runBundle } from './bundle.js';

const CRITERIA = 'current-ceph: { required: [job-a, job-b], any-of: [[job-c, job-d]] }\n';
const voted = (...jobs: string[]) => `[${jobs.map((job) => `{ job: ${job}, outcome: success }`).join(', ')}]`;
const TESTS = `current-ceph:
  - { name: all passed, votes: ${voted('job-a', 'job-b', 'job-d')}, verdict: promote }
  - { name: one is missing, votes: ${voted('job-a', 'job-d')}, verdict: wait }
`;

let directory: string;
const run = (inputs: Readonly<Record<string, string>>, workspace = directory) =>
  runBundle('test-criteria', inputs, { GITHUB_WORKSPACE: workspace });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'criteria-'));
  await writeFile(join(directory, 'criteria.yml'), CRITERIA);
  await writeFile(join(directory, 'criteria.test.yml'), TESTS);
  await writeFile(join(directory, 'wrong.yml'), TESTS.replace('verdict: wait', 'verdict: promote'));
});
afterAll(() => rm(directory, { recursive: true }));

test('cases that pass are listed, by default from the file next to the criteria', async () => {
  const { status, outputs, log } = await run({ criteria: 'criteria.yml' });
  expect({ status, outputs }).toEqual({ status: 0, outputs: { passed: '2', failed: '0' } });
  expect(log).toContain('- ✅ current-ceph: all passed: promote\n- ✅ current-ceph: one is missing: wait\n');
});

test('a case that fails makes the step fail, and the verdict is shown', async () => {
  const { status, outputs, errors, summary } = await run({ criteria: 'criteria.yml', tests: 'wrong.yml' });
  expect({ status, outputs }).toEqual({ status: 1, outputs: { passed: '1', failed: '1' } });
  expect(errors).toEqual(['1 of 2 cases gave the expected verdict; not: one is missing']);
  expect(summary).toContain(
    '- ❌ current-ceph: one is missing: expected promote, got wait: not met on aggregate hash one: job-b (no result)',
  );
});

test.each<[string, Record<string, string>, string]>([
  ['no file is named', {}, 'input criteria: required and not set'],
  ['no such criteria', { criteria: 'none.yml' }, 'input criteria: there is no file none.yml in'],
  ['no tests', { criteria: 'wrong.yml' }, 'input tests: there is no file wrong.test.yml in'],
  ['too many tests', { criteria: 'criteria.yml', tests: 'a\nb' }, 'input tests: lists 2 files, but criteria lists 1'],
  ['criteria that are none', { criteria: 'wrong.yml', tests: 'wrong.yml' }, 'wrong.yml: criteria: current-ceph.0: '],
])('%s: one line', async (_, inputs, message) => {
  const { status, errors } = await run(inputs);
  expect({ status, errors }).toEqual({ status: 1, errors: [expect.stringContaining(message)] });
});

describe('the criteria of this repository', () => {
  test('each file has tests next to it, which pass', async () => {
    const files = await readdir(join(projectRoot, '.github/criteria'));
    const criteria = files.filter((file) => !file.endsWith('.test.yml')).map((file) => `.github/criteria/${file}`);
    expect(criteria.length).toBeGreaterThan(0);
    const { errors, outputs } = await run({ criteria: criteria.join('\n') }, projectRoot);
    expect(errors).toEqual([]);
    expect(outputs.failed).toBe('0');
  });
});
