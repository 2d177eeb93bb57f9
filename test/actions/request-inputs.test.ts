import { describe, expect, test } from '@jest/globals';
import { parseRequest, type RequestSettings } from '../../src/actions/shared/request-inputs.js';
import type { Requester } from '../../src/rules/requester.js';

const NOTHING: RequestSettings = {
  'force-tag': undefined,
  'force-confirm': undefined,
  'force-reason': undefined,
  'skip-jobs': [],
  'rollback-to': undefined,
  hold: undefined,
  'lift-hold': undefined,
  quarantine: undefined,
  adopt: undefined,
  'allowed-actors': ['alice'],
  'manual-pipelines': [],
  'allowed-refs': [],
};
const FORCE = { ...NOTHING, 'force-tag': 'v1', 'force-confirm': 'v1', 'force-reason': 'why' };
const ALICE: Requester = {
  event: 'workflow_dispatch',
  actor: 'alice',
  triggeringActor: '',
  pipeline: undefined,
  ref: undefined,
  defaultBranch: undefined,
};
const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('what is asked', () => {
  test.each<[RequestSettings, unknown]>([
    [NOTHING, { kind: 'evaluate' }],
    [
      { ...FORCE, 'skip-jobs': ['a'] },
      { kind: 'force', tag: 'v1', reason: 'why', skipJobs: ['a'] },
    ],
    [
      { ...NOTHING, 'rollback-to': 'previous', 'force-reason': 'why' },
      { kind: 'rollback', to: 'previous', reason: 'why' },
    ],
    [
      { ...NOTHING, 'rollback-to': 'v1', 'force-reason': 'why' },
      { kind: 'rollback', to: 'v1', reason: 'why' },
    ],
    [
      { ...NOTHING, 'lift-hold': DIGEST, 'force-reason': 'why' },
      { kind: 'lift', image: DIGEST, reason: 'why' },
    ],
    [
      { ...NOTHING, hold: 'v1', 'force-reason': 'why' },
      { kind: 'hold', image: 'v1', reason: 'why' },
    ],
    [
      { ...NOTHING, adopt: `v1@${DIGEST}`, 'force-reason': 'why' },
      { kind: 'adopt', image: { tag: 'v1', digest: DIGEST }, reason: 'why' },
    ],
    [
      { ...NOTHING, quarantine: 'v1', 'force-reason': 'why' },
      { kind: 'quarantine', image: 'v1', reason: 'why' },
    ],
  ])('%j', (inputs, expected) => {
    expect(parseRequest(inputs, ALICE)).toEqual(expected);
  });

  test('an evaluation needs no person', () => {
    expect(parseRequest(NOTHING, { ...ALICE, event: 'schedule', actor: '' })).toEqual({ kind: 'evaluate' });
  });
});

describe('what is refused', () => {
  test.each<[string, RequestSettings, Requester, string]>([
    ['two at once', { ...FORCE, 'rollback-to': 'previous' }, ALICE, 'inputs force-tag and rollback-to: set only one'],
    ['no confirmation', { ...FORCE, 'force-confirm': undefined }, ALICE, 'input force-confirm: ""'],
    ['no reason', { ...FORCE, 'force-reason': undefined }, ALICE, 'input force-reason: force-tag needs a reason'],
    ['no tag', { ...FORCE, 'force-tag': undefined }, ALICE, 'input force-confirm: set, but nothing is forced'],
    [
      'a reason alone',
      { ...NOTHING, 'force-reason': 'why' },
      ALICE,
      'set force-tag, rollback-to, hold, lift-hold, quarantine or adopt too',
    ],
    [
      'a confirmation of a rollback',
      { ...NOTHING, 'rollback-to': 'v1', 'force-confirm': 'v1' },
      ALICE,
      'input force-confirm: set, but nothing is forced',
    ],
    ['jobs without force', { ...NOTHING, 'skip-jobs': ['a'] }, ALICE, 'input skip-jobs: set, but nothing is forced'],
    [
      'a path',
      { ...FORCE, 'force-tag': '../evil', 'force-confirm': '../evil' },
      ALICE,
      'input force-tag: "../evil" is not a tag: letters, digits, ',
    ],
    [
      'an option',
      { ...FORCE, 'force-tag': '-oProxyCommand=x', 'force-confirm': '-oProxyCommand=x' },
      ALICE,
      'is not a tag',
    ],
    [
      'a digest that is cut',
      { ...NOTHING, hold: 'sha256:abcd', 'force-reason': 'x' },
      ALICE,
      'is not a digest such as',
    ],
    ['a newline', { ...FORCE, 'force-tag': 'v1\nv2', 'force-confirm': 'v1\nv2' }, ALICE, 'is not a tag'],
    ['an adoption of a tag alone', { ...NOTHING, adopt: 'v1', 'force-reason': 'x' }, ALICE, 'is not <tag>@<digest>'],
    [
      'an adoption with half a digest',
      { ...NOTHING, adopt: 'v1@sha256:1', 'force-reason': 'x' },
      ALICE,
      'input adopt: ',
    ],
    [
      'a branch that is not allowed',
      FORCE,
      { ...ALICE, ref: 'refs/heads/try', defaultBranch: 'main' },
      'input allowed-refs: this run is on refs/heads/try; only runs on main may change anything',
    ],
    [
      'a schedule',
      FORCE,
      { ...ALICE, event: 'schedule' },
      'needs workflow_dispatch, but this run was started by schedule',
    ],
    ['no event', FORCE, { ...ALICE, event: '' }, 'nothing says what started this run'],
    [
      'a periodic build of Zuul',
      { ...FORCE, 'manual-pipelines': ['ceph-decision'] },
      { ...ALICE, event: 'zuul/periodic', pipeline: 'periodic' },
      'input force-tag: needs a build in one of manual-pipelines (ceph-decision), but this build is in periodic',
    ],
    [
      'a build of Zuul where no pipeline is listed',
      FORCE,
      { ...ALICE, event: 'zuul/ceph-decision', pipeline: 'ceph-decision' },
      'needs a build in one of manual-pipelines (empty: none is)',
    ],
    ['another actor', FORCE, { ...ALICE, actor: 'bob' }, 'bob is not in allowed-actors (alice)'],
    ['another who re-runs', FORCE, { ...ALICE, triggeringActor: 'bob' }, 'bob is not in allowed-actors'],
    ['nobody allowed', { ...FORCE, 'allowed-actors': [] }, ALICE, 'alice is not in allowed-actors (empty: nobody is)'],
    ['no actor at all', { ...FORCE, 'allowed-actors': [] }, { ...ALICE, actor: '' }, 'nobody is not in allowed-actors'],
    [
      'a rollback by schedule',
      { ...NOTHING, 'rollback-to': 'v1', 'force-reason': 'x' },
      { ...ALICE, event: 'schedule' },
      'input rollback-to: needs workflow_dispatch',
    ],
  ])('%s', (_, inputs, requester, message) => {
    expect(() => parseRequest(inputs, requester)).toThrow(message);
  });
});
