import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';

const read = (text: string, label = 'current-ceph') => parseCriteria(text, label);

describe('what is read', () => {
  test('all keys', () => {
    const text = `
current-ceph:
  required: [job-a, job-b]
  any-of: [[job-c, job-d], [job-e]]
  max-age: 14 days
  trusted-users: [ciuser]
  waivers: [{job: job-b, until: 2026-12-01, reason: node is broken, issue: "https://bugs.example/1"}]
  across-hashes: true
  bare-tags: true
other:
  required: [job-x]
`;
    expect(read(text)).toEqual({
      label: 'current-ceph',
      content: text,
      sha256: createHash('sha256').update(text).digest('hex'),
      requirements: [['job-a'], ['job-b'], ['job-c', 'job-d'], ['job-e']],
      attestations: [],
      maxAge: 14 * 86_400,
      trustedUsers: ['ciuser'],
      waivers: [{ job: 'job-b', until: '2026-12-01', reason: 'node is broken', issue: 'https://bugs.example/1' }],
      promotedIn: undefined,
      acrossHashes: true,
      bareTags: true,
    });
  });

  test.each([
    ["RDO's plain form", 'current-ceph:\n- job-a\n- job-b\n'],
    ['JSON', '{"current-ceph": {"required": ["job-a", "job-b"]}}'],
    ['an alias', 'x: &jobs [job-a, job-b]\ncurrent-ceph: *jobs'],
  ])('%s', (_, text) => {
    expect(read(text)).toMatchObject({
      requirements: [['job-a'], ['job-b']],
      maxAge: undefined,
      trustedUsers: undefined,
      waivers: [],
      acrossHashes: false,
      bareTags: false,
    });
  });
});

const refused: readonly [string, string, string][] = [
  ['no mapping', '- job-a', 'not a mapping of keys to values'],
  ['nothing', '', 'not a mapping of keys to values'],
  ['not YAML', 'current-ceph: [job-a', 'at line 1, column 21'],
  ['two documents', 'current-ceph: [a]\n---\ncurrent-ceph: [b]', 'multiple documents'],
  ['a label twice', 'current-ceph: [a]\ncurrent-ceph: [b]', 'unique at line 2'],
  ['a key twice', 'current-ceph:\n  required: [a]\n  required: [b]', 'unique at line 3'],
  [
    'jobs that are mappings',
    'current-ceph:\n  required:\n    - name: job-a',
    'required.0: is not a job name: 1 to 256',
  ],
  ['a tag of YAML', 'current-ceph: !jobs [a]', 'Unresolved tag'],
  ['an unknown alias', 'current-ceph: *jobs', 'jobs'],
  [
    'a bomb of aliases',
    ['a: &a [x, x, x, x, x, x, x, x]', 'b: &b [*a, *a, *a, *a, *a, *a]', 'current-ceph: [*b, *b, *b, *b, *b]'].join(
      '\n',
    ),
    'alias',
  ],
  ['another label', 'current-tripleo: [a]', 'has no label "current-ceph"; it has current-tripleo'],
  ['nothing under the label', 'current-ceph:', 'current-ceph: null is not a mapping'],
  [
    'an unknown key',
    'current-ceph:\n  required: [a]\n  requird: [b]',
    'current-ceph.requird: unknown key; known are required, ',
  ],
  ['an unknown key of another label', 'current-ceph: [a]\nother:\n  x: 1', 'other.x: unknown key'],
  ['no job', 'current-ceph: []', 'current-ceph: no job is required'],
  ['no job by keys', 'current-ceph:\n  required: []\n  any-of: []', 'current-ceph: no job is required'],
  ['only options', 'current-ceph:\n  max-age: 2 days', 'current-ceph: no job is required'],
  ['an empty group', 'current-ceph:\n  any-of: [[]]', 'current-ceph.any-of.0: is empty'],
  ['a job twice', 'current-ceph: [a, b, a]', 'a is named twice'],
  ['a job twice, once in a group', 'current-ceph:\n  required: [a]\n  any-of: [[a, b]]', 'a is named twice'],
  ['a job that is no text', 'current-ceph: [1]', 'current-ceph.0:'],
  ['an empty job', 'current-ceph: [""]', 'current-ceph.0: is not a job name'],
  ['a job of two lines', 'current-ceph: ["a\\nb"]', 'current-ceph.0: is not a job name'],
  ['a job of 257 characters', `current-ceph: [${'x'.repeat(257)}]`, 'current-ceph.0: is not a job name'],
  [
    'a duration',
    'current-ceph:\n  required: [a]\n  max-age: 2 weeks',
    'current-ceph.max-age: "2 weeks" is not a duration',
  ],
  [
    'no time at all',
    'current-ceph:\n  required: [a]\n  max-age: 0 days',
    'current-ceph.max-age: must be longer than zero',
  ],
  ['nobody trusted', 'current-ceph:\n  required: [a]\n  trusted-users: []', 'current-ceph.trusted-users: is empty'],
  ['a waiver without reason', waiver('{job: b, until: 2026-12-01}'), 'waivers.0.reason: the key "reason" is missing'],
  ['an empty reason', waiver('{job: b, until: 2026-12-01, reason: " "}'), 'waivers.0.reason: is not one line of text'],
  ['a waiver without end', waiver('{job: b, reason: x}'), 'waivers.0.until: the key "until" is missing'],
  ['a waiver until a time', waiver('{job: b, until: 2026-12-01T00:00:00Z, reason: x}'), 'waivers.0.until:'],
  [
    'a waiver until a day that never was',
    waiver('{job: b, until: 2026-02-30, reason: x}'),
    'waivers.0.until: is not a day',
  ],
  ['a waiver of another job', waiver('{job: c, until: 2026-12-01, reason: x}'), 'c is waived, but not required'],
  [
    'two waivers of a job',
    waiver('{job: b, until: 2026-12-01, reason: x}, {job: b, until: 2026-12-02, reason: y}'),
    'b is waived twice',
  ],
  [
    'all jobs waived',
    waiver('{job: a, until: 2026-12-01, reason: x}, {job: b, until: 2026-12-01, reason: x}'),
    'every job is waived',
  ],
  ['a file that is too long', `current-ceph: [a]\n# ${'x'.repeat(300_000)}`, 'more than 262144 characters'],
];

function waiver(waivers: string): string {
  return `current-ceph:\n  required: [a, b]\n  waivers: [${waivers}]`;
}

describe('what is refused, by one line that names it', () => {
  test.each(refused)('%s', (_, text, message) => {
    expect(() => read(text)).toThrow(UserError);
    expect(() => read(text)).toThrow(message);
    expect(() => read(text)).toThrow(/^criteria: [^\n]+$/);
  });

  test.each(['__proto__', 'constructor', 'toString', ''])('the label %j, which no file has', (label) => {
    expect(() => read('current-ceph: [a]', label)).toThrow('no label');
  });
});

/** Each would keep the parser busy for minutes, or exhaust its stack. They end within the time limit of a test. */
test.each([
  ['[ within [', '['.repeat(250_000), 'nested more than 100 deep'],
  ['{ within {', '{'.repeat(250_000), 'nested more than 100 deep'],
  ['- within -', '- '.repeat(125_000), '50 nested lists'],
  ['anchors', '&a '.repeat(80_000), 'anchors and tags'],
  ['tags', '!a\n'.repeat(80_000), 'anchors and tags'],
  ['many jobs', `current-ceph: [${Array.from({ length: 30_000 }, (_, n) => `j${n}`)}]`, 'more than 1000 jobs'],
  [
    'a long reason of two lines',
    `current-ceph: {required: [a, b], waivers: [{job: a, until: 2030-01-01, reason: "${'x'.repeat(250_000)}\\n"}]}`,
    'is not one line of text',
  ],
])('a file that is made to take long is refused: %s', (_, text, message) => {
  expect(() => read(text)).toThrow(message);
});

describe("the configuration of RDO's promoter", () => {
  const rdo = (promotion: string, rest = '') => `release: master\n${rest}promotions: {current-ceph: ${promotion}}`;

  test.each([
    ['{criteria: [a, b]}', [['a'], ['b']]],
    [
      '{candidate_label: ceph-ci-testing, criteria: [a, b], alternative_criteria: {b: [c, d]}}',
      [['a'], ['b', 'c', 'd']],
    ],
    ['{criteria: [a], alternative_criteria: {a: [b]}}', [['a', 'b']]],
    ['{candidate_label:, criteria: [a], alternative_criteria:}', [['a']]],
  ])('%s', (promotion, requirements) => {
    expect(read(rdo(promotion, 'api_url: https://x\n')).requirements).toEqual(requirements);
  });

  test.each([
    ['{criteria: []}', 'no job is required'],
    ['{candidate_label: x}', 'the key "criteria" is missing'],
    ['{criteria: [a], alternative_criteria: {b: [c]}}', 'b has alternatives, but is not required'],
    ['{criteria: [a], alternative_criteria: {a: []}}', 'is empty'],
    ['{criteria: [a, a]}', 'a is named twice'],
    ['{criteria: [a], alternative_criteria: {a: [a]}}', 'a is named twice'],
    ['{criteria: [a], max-age: 1 days}', 'unknown key'],
    ['[a]', 'the key "criteria" is missing'],
  ])('%s is refused', (promotion, problem) => {
    expect(() => read(rdo(promotion))).toThrow(problem);
  });

  test('must have the label that is asked for; otherwise the error lists its labels', () => {
    expect(() => read(rdo('{criteria: [a]}'), 'other')).toThrow('has no label "other"; it has current-ceph');
  });

  test('is not a file with a label named promotions', () => {
    expect(read('promotions: {required: [a]}', 'promotions').requirements).toEqual([['a']]);
    expect(read('promotions: [a]\ncurrent-ceph: [b]').requirements).toEqual([['b']]);
  });
});
