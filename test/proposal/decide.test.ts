import { describe, expect, test } from '@jest/globals';
import { type Change, closedText, decideChange, marker, type Situation } from '../../src/proposal/decide.js';
import { formatRecordComment } from '../../src/proposal/position.js';
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
const closedByUs = change('closed', closedText(TEXT.body, undefined));

const NOTHING: Situation = { baseIsRight: false, branch: 'absent', record: undefined, changes: [] };

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
    const decision = decideChange({ ...NOTHING, ...situation }, { digest: THIS, text: TEXT, own: undefined });
    const [kind, why = ''] = expected.split(': ');
    expect(decision.kind).toBe(kind);
    expect('why' in decision ? decision.why : '').toContain(why);
  });
});

describe('a run of record 7', () => {
  const [ledger, other] = ['a'.repeat(64), 'b'.repeat(64)];
  const own = { n: 7, ledger, sha256: '', supersedes: [] };
  const text = (n: number, of = ledger) => `${marker(OTHER)}\n${formatRecordComment({ n, ledger: of })}`;
  const damaged = `${marker(OTHER)}\n<!-- ceph-promotion-record: seven -->`;

  test.each<[string, Partial<Situation>, string, boolean?]>([
    [
      'an older record',
      { branch: 'ours', record: { n: 6, ledger }, changes: [change('open', text(6))] },
      'push-and-update',
    ],
    [
      'the same record',
      { branch: 'ours', record: { n: 7, ledger }, changes: [change('open', text(7))] },
      'push-and-update',
    ],
    ['an open change that names none', { branch: 'ours', changes: [change('open')] }, 'push-and-update'],
    [
      'a newer record in the branch, whose text was not written yet',
      { branch: 'ours', record: { n: 8, ledger }, changes: [change('open', text(6))] },
      'leave: record 8 was proposed already, and is newer than record 7',
    ],
    [
      'a newer record in the branch, before it is opened',
      { branch: 'ours', record: { n: 8, ledger } },
      'leave: record 8',
    ],
    [
      'a newer record, while the base is right for ours',
      { baseIsRight: true, branch: 'ours', record: { n: 8, ledger }, changes: [change('open', text(8))] },
      'leave: record 8',
    ],
    [
      'a newer record that is merged, and the branch deleted',
      { changes: [change('merged', text(8))] },
      'leave: record 8',
    ],
    [
      'a newer record that made us close the change',
      { branch: 'ours', changes: [change('closed', closedText(text(6), { ...own, n: 8 }))] },
      'leave: record 8',
    ],
    [
      'an older record that made us close the change',
      { branch: 'ours', changes: [change('closed', closedText(text(5), { ...own, n: 6 }))] },
      'push-and-open',
    ],
    [
      'a commit that is not understood',
      { branch: 'ours', record: 'unclear', changes: [change('open', text(6))] },
      'leave: delete the branch',
      true,
    ],
    [
      'a commit that is not understood, without a change',
      { branch: 'ours', record: 'unclear' },
      'leave: delete the branch',
      true,
    ],
    [
      'a text that is not understood',
      { branch: 'ours', changes: [change('open', damaged)] },
      'leave: remove the comment',
      true,
    ],
    ['a merged text that is not understood', { changes: [change('merged', damaged)] }, 'push-and-open'],
    [
      'a change of another ledger',
      { branch: 'ours', record: { n: 1, ledger: other }, changes: [change('open', text(1, other))] },
      'leave: of another ledger',
      true,
    ],
    [
      'a branch of another ledger, whose change is merged',
      { branch: 'ours', record: { n: 1, ledger: other }, changes: [change('merged', text(1, other))] },
      'push-and-open',
    ],
  ])('finds %s', (_, situation, expected, isWarning = false) => {
    const decision = decideChange({ ...NOTHING, ...situation }, { digest: THIS, text: TEXT, own });
    const [kind, why = ''] = expected.split(': ');
    expect(decision.kind).toBe(kind);
    if (decision.kind === 'leave') expect(decision).toMatchObject({ why: expect.stringContaining(why), isWarning });
  });
});
