import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readCriteriaText } from '../../src/actions/shared/criteria-input.js';

let workspace: string;

beforeAll(async () => {
  workspace = await mkdtemp(path.join(tmpdir(), 'criteria-'));
  await writeFile(path.join(workspace, 'criteria.yml'), 'current-ceph: [a]\n');
});

afterAll(() => rm(workspace, { recursive: true }));

test.each([
  ['JSON without blanks', '{"current-ceph":["a"]}'],
  ['JSON in lines', '{\n  "current-ceph": ["a"]\n}'],
  ['a flow mapping', '{current-ceph: [a]}'],
  ['a list, which criteria are not', '[a]'],
  ['YAML in one line', 'current-ceph: [a]'],
  ['YAML in lines', 'current-ceph:\n- a\n'],
  ['YAML with carriage returns', 'current-ceph:\r\n- a\r\n'],
  ['YAML that begins with a comment', '# why\ncurrent-ceph: [a]'],
])('%s is a value', async (_, value) => {
  expect(await readCriteriaText(value, workspace)).toBe(value);
});

test('a byte order mark is not part of the value', async () => {
  expect(await readCriteriaText('\uFEFFcurrent-ceph: [a]', workspace)).toBe('current-ceph: [a]');
});

test('other text is the name of a file', async () => {
  expect(await readCriteriaText('criteria.yml', workspace)).toBe('current-ceph: [a]\n');
  await expect(readCriteriaText('C:criteria.yml', workspace)).rejects.toThrow('input criteria: there is no file');
});
