import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { readActionInputs, wrongInputs } from '../../src/upkeep/workflow-inputs.js';
import { projectRoot } from '../sandbox/project.js';

const MANIFEST = `
inputs:
  freeze: { description: a reason, default: '' }
  targets: { description: where to, required: true }
  label: { required: true, default: x }
  odd:
`;
const inputsOf = (name: string) => (name === 'promote' ? readActionInputs(MANIFEST) : undefined);
const workflow = (step: string) => `jobs: { a: { runs-on: x, steps: [{ run: ls }, ${step}] }, called: { uses: ./x } }`;

test.each<[string, string, string[]]>([
  ['right inputs', '{ uses: ./actions/promote, with: { targets: a, freeze: b } }', []],
  [
    'an input that does not exist, with the one that it is like',
    '{ uses: ./actions/promote, with: { targets: a, freezes: b } }',
    ['promote has no input freezes, so it is ignored; it has freeze'],
  ],
  [
    'an input that is like none',
    '{ uses: o/r/actions/promote@0123, with: { targets: a, zzz: b } }',
    ['promote has no input zzz, so it is ignored'],
  ],
  ['a required input that is missing', '{ uses: o/r/actions/promote@v1 }', ['promote requires the input targets']],
  ["somebody else's action", '{ uses: actions/checkout@v5, with: { freezes: b } }', []],
])('%s', (_, step, problems) => {
  expect(wrongInputs(workflow(step), inputsOf)).toEqual(problems);
});

test('anchors and merge keys are followed, and a problem is reported once', () => {
  const step = '{ uses: ./actions/promote, with: { targets: a, freezes: b } }';
  const text = `jobs: { a: { steps: [&promote ${step}, *promote] }, b: { steps: [{ <<: *promote, name: again }] } }`;
  expect(wrongInputs(text, inputsOf)).toHaveLength(1);
});

test('steps of composite actions are compared, too', () => {
  expect(wrongInputs('runs: { steps: [{ uses: ./actions/promote }] }', inputsOf)).toHaveLength(1);
});

test.each([
  ['no YAML', 'jobs: [', /^is not YAML: /],
  ['no workflow', 'jobs: 3', /^is not a workflow: /],
])('%s is told', (_, text, problem) => {
  expect(wrongInputs(text, inputsOf)).toEqual([expect.stringMatching(problem)]);
});

test('our own workflows pass only inputs that exist', () => {
  const folder = path.join(projectRoot, '.github/workflows');
  const own = (name: string) => {
    const file = path.join(projectRoot, 'actions', name, 'action.yml');
    return readdirSync(path.join(projectRoot, 'actions')).includes(name)
      ? readActionInputs(readFileSync(file, 'utf8'))
      : undefined;
  };
  const problems = readdirSync(folder).flatMap((file) =>
    wrongInputs(readFileSync(path.join(folder, file), 'utf8'), own),
  );
  expect(problems).toEqual([]);
});
