import { describe, expect, test } from '@jest/globals';
import { type Change, decideChange, marker, type Situation, withoutMarker } from '../../src/proposal/decide.js';
import { digestOf } from '../ledger/fixture.js';

const [THIS, OTHER] = [digestOf('this'), digestOf('other')];
const TEXT = { title: 'Update', body: `why\n\n${marker(THIS)}` };
const change = (state: Change['state'], body = TEXT.body, number = 1): Change => ({
  number,
  url: `https://forge.example/${number}`,
  state,
  title: TEXT.title,
  body,
});
const closedByUs = change('closed', withoutMarker(TEXT.body));

describe('there is one open change with what is promoted', () => {
  test.each<[string, Partial<Situation>, string]>([
    ['nothing is there', {}, 'push-and-open'],
    ['a branch of ours without a change', { branch: 'ours' }, 'push-and-open'],
    ['the right branch without a change, after a kill', { branch: 'right' }, 'open'],
    ['an older proposal', { branch: 'ours', changes: [change('open')] }, 'push-and-update'],
    ['a branch that was deleted, of an open change', { changes: [change('open')] }, 'push-and-update'],
    ['the same proposal', { branch: 'right', changes: [change('open')] }, 'leave: proposes it already'],
    [
      'the same with CRLF',
      { branch: 'right', changes: [change('open', `${TEXT.body.replaceAll('\n', '\r\n')}\r\n`)] },
      'leave: proposes it already',
    ],
    [
      'the branch was pushed, and the text was not changed',
      { branch: 'right', changes: [change('open', 'old')] },
      'update',
    ],
    ['it is merged', { baseIsRight: true, branch: 'right', changes: [change('merged')] }, 'leave: has it already'],
    ['it was never needed', { baseIsRight: true }, 'leave: has it already'],
    ['the base went back to it', { baseIsRight: true, branch: 'ours', changes: [change('open')] }, 'close'],
    ['a person closed it', { branch: 'right', changes: [change('closed')] }, 'leave: a person has closed'],
    ['a person closed another image', { branch: 'ours', changes: [change('closed', marker(OTHER))] }, 'push-and-open'],
    [
      'a person closed it earlier',
      { changes: [change('closed', marker(OTHER), 2), change('closed')] },
      'leave: a person has closed',
    ],
    ['we closed it', { branch: 'right', changes: [closedByUs] }, 'open'],
    ['somebody pushed', { branch: 'foreign', changes: [change('open')] }, 'leave: somebody has pushed'],
    [
      'somebody pushed, and it is merged',
      { branch: 'foreign', baseIsRight: true, changes: [change('merged')] },
      'leave: has it already',
    ],
    [
      'somebody pushed, and the base went back',
      { branch: 'foreign', baseIsRight: true, changes: [change('open')] },
      'leave: somebody has pushed',
    ],
  ])('%s', (_, situation, expected) => {
    const decision = decideChange({ baseIsRight: false, branch: 'absent', changes: [], ...situation }, THIS, TEXT);
    const [kind, why = ''] = expected.split(': ');
    expect(decision.kind).toBe(kind);
    expect('why' in decision ? decision.why : '').toContain(why);
  });
});
