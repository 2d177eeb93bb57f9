import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { type ErrorDetails, ServiceError } from '../../src/base/errors.js';
import { durationSchema, timeSchema } from '../../src/base/schema.js';
import { readRunContext } from '../../src/runner/context.js';
import {
  choice,
  countSchema,
  flag,
  type Input,
  lineSchema,
  list,
  optional,
  renamed,
  required,
  urlSchema,
  withDefault,
} from '../../src/runner/inputs.js';
import { chooseName, parseInput, wayOut } from '../../src/runner/run-action.js';

const parse = (input: Input<unknown>, value: string) => parseInput('x', input, value);

test.each<[string, Input<unknown>, string, unknown]>([
  ['a boolean', flag('', 'false'), 'TRUE', true],
  ['its default', flag('', 'false'), '', false],
  ['a list', list('', lineSchema), ' a \r\n\n b\n', ['a', 'b']],
  ['an empty list', list('', lineSchema), '', []],
  ['absent', optional('', lineSchema), '', undefined],
  ['a default', withDefault('', '3', countSchema), '', 3],
  ['a choice', choice('', ['auto', 'quay'], 'auto'), 'quay', 'quay'],
  ['minutes', optional('', durationSchema), '90 minutes', 5400],
  ['one day', optional('', durationSchema), '1 day', 86_400],
  ['unix seconds', optional('', timeSchema), '1700000000', 1_700_000_000],
  ['RFC 3339', optional('', timeSchema), '2023-11-14T23:13:20.9+01:00', 1_700_000_000],
])('%s', (_, input, value, expected) => {
  expect(parse(input, value)).toEqual(expected);
});

test.each<[string, Input<unknown>, string, string]>([
  ['required', required('what it is', lineSchema), '', 'input x: required and not set: what it is'],
  ['a boolean', flag('', 'false'), 'yes', 'input x: "yes" is not a boolean: true or false'],
  ['a choice', choice('', ['a', 'b'], 'a'), 'c', 'input x: "c" is not one of a, b'],
  ['a count', withDefault('', '0', countSchema), '-1', 'input x: "-1" is not a whole number'],
  ['a duration', optional('', durationSchema), '2 weeks', 'input x: "2 weeks" is not a duration such as "14 days"'],
  ['a time', optional('', timeSchema), 'today', 'input x: "today" is neither unix seconds nor RFC 3339'],
  [
    'a day that is none',
    optional('', timeSchema),
    '2026-13-01T00:00:00Z',
    'input x: "2026-13-01T00:00:00Z" is neither',
  ],
  ['the second of a list', list('', countSchema), '1\nx', 'input x: line 2: "x" is not a whole number'],
  [
    'a part of the first',
    list(
      '',
      v.pipe(
        v.string(),
        v.transform((a) => ({ a })),
        v.object({ a: v.picklist(['b']) }),
      ),
    ),
    'c',
    'input x: line 1.a: ',
  ],
  ['two lines', optional('', lineSchema), 'a\nb', 'input x: "a'],
  ['a URL', optional('', urlSchema), 'ftp://a/', 'input x: "ftp://a/" is not an http or https URL'],
])('%s that is wrong is named', (_, input, value, message) => {
  expect(() => parse(input, value)).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }));
});

const SURE = 'has credentials in it: a URL is no place for them';
const MAYBE =
  'is not an http or https URL, as in https://host/path, and is not shown, since it may have credentials in it';

test.each([
  ['http://u:s3cret@a/', SURE],
  ['https://s3cret@a/', SURE],
  ['htps://u:s3cret@host/', SURE],
  ['https:u:s3cret@host/', SURE],
  ['sftp://u:s3cret@host/', SURE],
  ['https://u:s3cret@ho st/', MAYBE],
  ['https://u:s3/cret@host/', MAYBE],
  ['u:s3cret@host/', MAYBE],
  ['ftp://host/s3cret@y', MAYBE],
])('the credentials that are or may be in %s are not repeated', (value, problem) => {
  expect(() => parse(optional('', urlSchema), value)).toThrow(
    expect.objectContaining({ message: `input x: ${problem}` }),
  );
});

describe('a renamed input', () => {
  const input = renamed(withDefault('', 'current-ceph', lineSchema), 'label');

  test.each([
    ['', 'old', 'old'],
    ['current-ceph', 'old', 'old'],
    ['same', 'same', 'same'],
  ])('%j by its new name and %j by its former name is %j', (value, former, expected) => {
    expect(chooseName('promoted-label', input, value, former)).toBe(expected);
  });

  test('refuses two values', () => {
    expect(() => chooseName('promoted-label', input, 'a', 'b')).toThrow('inputs promoted-label and label: two names');
  });
});

describe('the run', () => {
  const env = {
    GITHUB_SERVER_URL: 'https://forge',
    GITHUB_REPOSITORY: 'o/r',
    GITHUB_RUN_ID: '900',
    GITHUB_RUN_NUMBER: '7',
    GITHUB_RUN_ATTEMPT: '2',
  };

  test.each([
    ['GitHub', {}, 'https://forge/o/r/actions/runs/900/attempts/2'],
    ['Gitea', { GITEA_ACTIONS: 'true' }, 'https://forge/o/r/actions/runs/7#attempt-2'],
    ['Forgejo', { FORGEJO_ACTIONS: 'true' }, 'https://forge/o/r/actions/runs/7#attempt-2'],
  ])('has a page of its own on %s', (_, forge, expected) => {
    expect(readRunContext({ ...env, ...forge }).runUrl).toBe(expected);
  });

  test.each([
    ['a path for a repository', { GITHUB_REPOSITORY: '/home/me/my work' }],
    ['a server without its scheme', { GITHUB_SERVER_URL: 'forge' }],
    ['a quote', { GITHUB_REPOSITORY: 'o/"r' }],
  ])('has no page with %s, since that makes no URL', (_, forge) => {
    expect(readRunContext({ ...env, ...forge }).runUrl).toBeUndefined();
  });

  test.each([
    ['2', 2],
    ['', 1],
    ['0', 0],
    ['-1', 0],
    ['1.5', 0],
    ['second', 0],
    ['99999999999999999999', 0],
  ])('attempt %j is %d: what is not understood is not the first', (text, attempt) => {
    expect(readRunContext({ ...env, GITHUB_RUN_ATTEMPT: text }).attempt).toBe(attempt);
  });

  test.each([
    ['GitHub', { GITHUB_ACTIONS: 'true' }, true],
    ['Gitea', { GITHUB_ACTIONS: 'true', GITEA_ACTIONS: 'true' }, false],
    ['no forge', {}, false],
  ])('%s is recognized', (_, forge, isGitHub) => {
    expect(readRunContext({ ...env, ...forge }).isGitHub).toBe(isGitHub);
  });

  const BUILD = {
    ZUUL_BUILD: 'b1',
    ZUUL_PIPELINE: 'ceph-decision',
    ZUUL_CHANGE: '12345,2',
    ZUUL_USER: 'alice@example.org',
    ZUUL_BUILD_URL: 'https://zuul.example/t/storage/build/b1',
  };

  test('in Zuul it is the build', () => {
    expect(readRunContext(BUILD)).toMatchObject({
      event: 'zuul/ceph-decision/12345,2',
      pipeline: 'ceph-decision',
      actor: 'alice@example.org',
      runId: '12345-2',
      attempt: 0,
      runUrl: BUILD.ZUUL_BUILD_URL,
      ref: undefined,
    });
    expect(readRunContext({ ZUUL_BUILD: 'b1', ZUUL_PIPELINE: 'periodic' })).toMatchObject({
      event: 'zuul/periodic',
      actor: '',
      runId: 'b1',
      attempt: 1,
      runUrl: undefined,
    });
    expect(readRunContext({ ...BUILD, ZUUL_PIPELINE: '' }).pipeline).toBe('');
  });

  test('at a command line it is the person who says so', () => {
    expect(readRunContext({ OPERATOR: 'alice', OPERATOR_URL: 'https://bugs.example/1' })).toMatchObject({
      event: 'command-line',
      actor: 'alice',
      runUrl: 'https://bugs.example/1',
      pipeline: undefined,
    });
  });

  test.each([{ GITHUB_ACTIONS: 'true' }, { GITHUB_EVENT_NAME: 'schedule' }])(
    'on a forge (%j) the variables of Zuul and the command line name nobody',
    (forge) => {
      expect(readRunContext({ ...forge, ...BUILD, OPERATOR: 'alice' })).toMatchObject({
        event: 'GITHUB_EVENT_NAME' in forge ? 'schedule' : '',
        actor: '',
        pipeline: undefined,
      });
    },
  );

  test('in Zuul the variable of the command line names nobody', () => {
    expect(readRunContext({ ZUUL_PIPELINE: 'periodic', OPERATOR: 'alice' })).toMatchObject({
      event: 'zuul/periodic',
      actor: '',
    });
  });

  test.each([
    ['ZUUL_BUILD_URL', { ...BUILD, ZUUL_BUILD_URL: 'javascript:alert(1)' }],
    ['ZUUL_USER', { ...BUILD, ZUUL_USER: 'alice\nbob' }],
    ['OPERATOR_URL', { OPERATOR: 'alice', OPERATOR_URL: 'ticket 7' }],
  ])('%s is refused if it is invalid', (name, wrong) => {
    expect(() => readRunContext(wrong)).toThrow(`${name}: `);
  });

  test('outside of a runner nothing is made up', () => {
    expect(readRunContext({})).toMatchObject({
      event: '',
      actor: '',
      attempt: 1,
      runUrl: undefined,
      ref: undefined,
      defaultBranch: undefined,
    });
  });

  test.each([
    ['as the event names it', '{"repository": {"default_branch": "trunk"}}', {}, 'trunk'],
    ['unknown where the event names no repository', '{"schedule": "0 1 * * *"}', {}, undefined],
    ['unknown where the event is no JSON', '{', {}, undefined],
    ['what is checked out for act, which names none', '{"inputs": {}}', { ACT: 'true' }, 'try'],
    ['what the event names for act, where it does', '{"repository": {"default_branch": "a"}}', { ACT: 'true' }, 'a'],
  ])('its default branch is %s', async (_, event, more, expected) => {
    const file = path.join(await mkdtemp(path.join(tmpdir(), 'event-')), 'event.json');
    await writeFile(file, event);
    const context = readRunContext({ ...env, GITHUB_REF: 'refs/heads/try', GITHUB_EVENT_PATH: file, ...more });
    expect(context).toMatchObject({ ref: 'refs/heads/try', defaultBranch: expected });
    await rm(path.dirname(file), { recursive: true });
  });
});

describe('for a host that cannot be reached, the error names the input that names it', () => {
  const { env } = process;
  afterEach(() => {
    process.env = env;
  });
  const secret = { ...optional('', lineSchema), secret: true };
  const inputs = {
    url: optional('', lineSchema),
    targets: list('', lineSchema),
    password: secret,
    'ssh-known-hosts': optional('', lineSchema),
    'rekor-url': withDefault('', 'https://rekor.example/x', lineSchema),
  };

  const wayTo = (details: ErrorDetails) =>
    wayOut(new ServiceError('unreachable', 'down', details), inputs, (hint) => `the way out for ${hint}`);

  test.each<[string, NodeJS.ProcessEnv, string | undefined]>([
    ['one input', { INPUT_URL: 'https://Images.example/x' }, 'check the input url'],
    [
      'two inputs',
      { INPUT_URL: 'https://images.example', INPUT_TARGETS: 'a\nimages.example/b' },
      'check the inputs url, targets',
    ],
    ['no input', { INPUT_URL: 'https://other.example' }, undefined],
    [
      'not a part of another name',
      { INPUT_URL: 'https://my-images.example', INPUT_TARGETS: 'images.example.org' },
      undefined,
    ],
    ['no known host', { 'INPUT_SSH-KNOWN-HOSTS': 'images.example ssh-ed25519 AAAA' }, undefined],
    ['no secret', { INPUT_PASSWORD: 'images.example' }, undefined],
  ])('%s', (_, variables, words) => {
    process.env = variables;
    expect(wayTo({ host: 'images.example' })).toBe(words);
    expect(wayTo({})).toBeUndefined();
  });

  test('a default', () => {
    process.env = {};
    expect(wayTo({ host: 'rekor.example' })).toBe('check the input rekor-url');
    process.env = { 'INPUT_REKOR-URL': 'https://other.example' };
    expect(wayTo({ host: 'rekor.example' })).toBeUndefined();
  });

  test('the hint only if no input has the host', () => {
    process.env = { INPUT_URL: 'https://images.example' };
    expect(wayTo({ host: 'images.example', hint: 'dlrn-url' })).toBe('check the input url');
    expect(wayTo({ host: 'other.example', hint: 'dlrn-url' })).toBe('the way out for dlrn-url');
    expect(wayTo({ hint: 'dlrn-url' })).toBe('the way out for dlrn-url');
  });
});
