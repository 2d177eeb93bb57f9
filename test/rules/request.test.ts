import { describe, expect, test } from '@jest/globals';
import { parseRequest, type Requester, type RequestInputs } from '../../src/rules/request.js';

const NOTHING: RequestInputs = {
  'force-tag': undefined,
  'force-confirm': undefined,
  'force-reason': undefined,
  'skip-jobs': [],
  'rollback-to': undefined,
  'lift-hold': undefined,
  quarantine: undefined,
  'allowed-actors': ['alice'],
};
const FORCE = { ...NOTHING, 'force-tag': 'v1', 'force-confirm': 'v1', 'force-reason': 'why' };
const ALICE: Requester = { event: 'workflow_dispatch', actor: 'alice', triggeringActor: '' };
const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('what is asked', () => {
  test.each<[RequestInputs, unknown]>([
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
      { ...NOTHING, quarantine: 'v1', 'force-reason': 'why' },
      { kind: 'quarantine', image: 'v1', reason: 'why' },
    ],
  ])('%j', (inputs, expected) => {
    expect(parseRequest(inputs, ALICE)).toEqual(expected);
  });

  test('an evaluation needs no person', () => {
    expect(parseRequest(NOTHING, { event: 'schedule', actor: '', triggeringActor: '' })).toEqual({ kind: 'evaluate' });
  });
});

describe('what is refused', () => {
  test.each<[string, RequestInputs, Requester, string]>([
    ['two at once', { ...FORCE, 'rollback-to': 'previous' }, ALICE, 'inputs force-tag and rollback-to: only one'],
    ['no confirmation', { ...FORCE, 'force-confirm': undefined }, ALICE, 'input force-confirm: ""'],
    ['no reason', { ...FORCE, 'force-reason': undefined }, ALICE, 'input force-reason: force-tag needs a reason'],
    ['no tag', { ...FORCE, 'force-tag': undefined }, ALICE, 'input force-confirm: set, but nothing is forced'],
    [
      'a reason alone',
      { ...NOTHING, 'force-reason': 'why' },
      ALICE,
      'set force-tag, rollback-to, lift-hold or quarantine',
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
    ['a newline', { ...FORCE, 'force-tag': 'v1\nv2', 'force-confirm': 'v1\nv2' }, ALICE, 'is not a tag'],
    ['a schedule', FORCE, { ...ALICE, event: 'schedule' }, 'only by workflow_dispatch, this run is by schedule'],
    ['no event', FORCE, { ...ALICE, event: '' }, 'this run is by no event'],
    ['another actor', FORCE, { ...ALICE, actor: 'bob' }, 'bob is not in allowed-actors (alice)'],
    ['another who re-runs', FORCE, { ...ALICE, triggeringActor: 'bob' }, 'bob is not in allowed-actors'],
    ['nobody allowed', { ...FORCE, 'allowed-actors': [] }, ALICE, 'alice is not in allowed-actors (empty: nobody is)'],
    ['no actor at all', { ...FORCE, 'allowed-actors': [] }, { ...ALICE, actor: '' }, 'nobody is not in allowed-actors'],
    [
      'a rollback by schedule',
      { ...NOTHING, 'rollback-to': 'v1', 'force-reason': 'x' },
      { ...ALICE, event: 'schedule' },
      'input rollback-to: only by',
    ],
  ])('%s', (_, inputs, requester, message) => {
    expect(() => parseRequest(inputs, requester)).toThrow(message);
  });
});
