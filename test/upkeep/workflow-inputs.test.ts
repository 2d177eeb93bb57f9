import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import {
  evidenceInNeeds,
  namesZuul,
  readActionInputs,
  readWorkflow,
  wrongInputs,
} from '../../src/upkeep/workflow-inputs.js';
import { projectRoot } from '../sandbox/project.js';

const MANIFEST = `
inputs:
  freeze: { description: a reason, default: '' }
  targets: { description: where to, required: true }
  label: { required: true, default: x }
  odd:
`;
const inputsOf = (name: string) => (name === 'promote' ? readActionInputs(MANIFEST) : undefined);

/** The problems with a workflow, as a text. */
function problemsIn(text: string, inputs = inputsOf): string[] {
  const read = readWorkflow(text);
  return 'problem' in read ? [read.problem] : wrongInputs(read.value, inputs);
}

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
  expect(problemsIn(workflow(step))).toEqual(problems);
});

test('anchors and merge keys are followed, and a problem is reported once', () => {
  const step = '{ uses: ./actions/promote, with: { targets: a, freezes: b } }';
  const text = `jobs: { a: { steps: [&promote ${step}, *promote] }, b: { steps: [{ <<: *promote, name: again }] } }`;
  expect(problemsIn(text)).toHaveLength(1);
});

test('steps of composite actions are compared, too', () => {
  expect(problemsIn('runs: { steps: [{ uses: ./actions/promote }] }')).toHaveLength(1);
});

test.each([
  ['no YAML', 'jobs: [', /^is not YAML: /],
  ['no workflow', 'jobs: 3', /^is not a workflow: /],
])('%s is reported', (_, text, problem) => {
  expect(problemsIn(text)).toEqual([expect.stringMatching(problem)]);
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
    problemsIn(readFileSync(path.join(folder, file), 'utf8'), own),
  );
  expect(problems).toEqual([]);
});

test.each<[string, string, string[]]>([
  ['a job that passes them on', 'needs: [find, check], steps: [{ uses: X, with: { needs: all } }]', ['find', 'check']],
  ['one job', 'needs: check, steps: [{ uses: X, with: { needs: all } }]', ['check']],
  ['another source of evidence', 'needs: [check], steps: [{ uses: X, with: { dlrn-url: u } }]', []],
  ['no step of ours', 'needs: [check], steps: [{ run: ls }]', []],
  ['another action', 'needs: [check], steps: [{ uses: o/r/actions/other@v1, with: { needs: all } }]', []],
  ['needs that are none', 'needs: 3, steps: [{ uses: X, with: { needs: all } }]', []],
])('whose results are evidence: %s', (_, job, expected) => {
  const read = readWorkflow(`jobs: { a: { ${job.replace('X', 'o/r/actions/evaluate-and-promote@v1')} }, b: {} }`);
  expect('value' in read && evidenceInNeeds(read.value)).toEqual(expected);
});

test.each<[string, string, boolean]>([
  ['a job', 'jobs: { a: { steps: [{ uses: X, with: { zuul-url: u } }] } }', true],
  ['a composite action', 'runs: { steps: [{ uses: X, with: { zuul-url: u } }] }', true],
  ['other evidence', 'jobs: { a: { steps: [{ uses: X, with: { dlrn-url: u } }, { uses: X }] } }', false],
  ['another action', 'jobs: { a: { steps: [{ uses: o/r/actions/other@v1, with: { zuul-url: u } }] } }', false],
])('whether Zuul is named: %s', (_, text, expected) => {
  const read = readWorkflow(text.replaceAll('X', 'o/r/actions/evaluate-and-promote@v1'));
  expect('value' in read && namesZuul(read.value)).toBe(expected);
});
