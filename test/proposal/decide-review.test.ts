import { describe, expect, test } from '@jest/globals';
import { decidePatchSet, decideReview, type SeenReview } from '../../src/proposal/decide-review.js';
import { formatTrailer } from '../../src/proposal/position.js';

const [ledger, other] = ['a'.repeat(64), 'b'.repeat(64)];
const own = { n: 7, ledger, sha256: '', supersedes: [] };
const at = (n: number, of = ledger) => `Update\n\n${formatTrailer({ n, ledger: of })}\n`;
const THIS = 'quay.io/ceph/ceph:v2@sha256:2';
const review = (changes: Partial<SeenReview> = {}): SeenReview => ({
  number: 1,
  url: 'https://gerrit.example/c/ceph/+/1',
  state: 'open',
  changeId: `I${'1'.repeat(40)}`,
  ref: 'refs/changes/01/1/2',
  committer: 'we <we@example.org>',
  message: at(6),
  closing: undefined,
  isOurs: true,
  isRight: false,
  ...changes,
});
const closedBy = (closing: string | undefined, message = `Update\n\n${THIS}\n\n${formatTrailer({ n: 7, ledger })}`) =>
  review({ state: 'closed', closing, message });

describe('there is one open change on Gerrit with what is promoted', () => {
  test.each<[string, readonly SeenReview[], string]>([
    ['nothing is there', [], 'push'],
    ['an older proposal', [review()], 'push 1'],
    ['the same proposal', [review({ isRight: true })], 'leave 1: the open change proposes it already'],
    [
      'the same, rebased by a person',
      [review({ isRight: true, isOurs: false, message: '' })],
      'leave 1: the open change proposes it already',
    ],
    ["a person's patch set", [review({ isOurs: false })], 'warning 1: somebody has pushed'],
    ["a person's own change with our topic, beside ours", [review({ number: 2, isOurs: false }), review()], 'push 1'],
    ['it is merged, and reverted', [review({ state: 'merged', message: at(6) })], 'push'],
    ['a newer record', [review({ message: at(8) })], 'leave 1: record 8 was proposed already'],
    ['a newer record that is merged', [review({ state: 'merged', message: at(8) })], 'leave: record 8'],
    ['another ledger', [review({ message: at(8, other) })], 'warning 1: the newest patch set is of another ledger'],
    ['another ledger, merged', [review({ state: 'merged', message: at(8, other) })], 'push'],
    ['a person abandoned it', [closedBy(undefined)], 'warning 1: a person has abandoned the change for this image'],
    ['a person abandoned another image', [closedBy(undefined, at(6))], 'push'],
    ['a person abandoned it, and an older proposal is open', [closedBy(undefined), review({ number: 2 })], 'push 2'],
    ['we abandoned it for an older record', [closedBy(`Abandoned\n\n${at(6)}`)], 'push'],
    ['we abandoned it for a newer record', [closedBy(`Abandoned\n\n${at(8)}`)], 'leave: record 8'],
  ])('%s', (_, reviews, expected) => {
    expect(decide(false, reviews, false)).toContain(expected);
  });

  test.each<[string, readonly SeenReview[], boolean, string]>([
    ['nothing is open', [review({ state: 'merged' })], true, 'leave: the base branch has it already'],
    ['an open change', [review()], true, 'abandon 1'],
    [
      'an open change, without a login',
      [review()],
      false,
      'warning 1: the base branch has it already; a person must abandon',
    ],
    ["a person's patch set", [review({ isOurs: false })], true, 'warning 1: somebody has pushed'],
    ['an open change of a newer record', [review({ message: at(8) })], true, 'leave 1: record 8'],
  ])('the base is right: %s', (_, reviews, canAbandon, expected) => {
    expect(decide(true, reviews, canAbandon)).toContain(expected);
  });

  function decide(baseIsRight: boolean, reviews: readonly SeenReview[], canAbandon: boolean): string {
    const decision = decideReview({ baseIsRight, reviews }, { reference: THIS, own, canAbandon });
    const number = decision.change === undefined ? '' : ` ${decision.change.number}`;
    if (decision.kind !== 'leave') return `${decision.kind}${number}`;
    return `${decision.isWarning ? 'warning' : 'leave'}${number}: ${decision.why}`;
  }
});

describe('Gerrit has the commit of record 7 already', () => {
  test.each<[string, string, Partial<Parameters<typeof decidePatchSet>[0]>, string]>([
    ['right', at(8), { isRight: true }, 'its newest patch set is right'],
    ['right, by another committer', '', { isRight: true, isOurs: false }, 'its newest patch set is right'],
    ["a person's", '', { isOurs: false }, 'warning: somebody has pushed'],
    ['of an older record', at(6), {}, 'push'],
    ['of a newer record', at(8), {}, 'record 8 was proposed already'],
    ['of no record', '', {}, 'push'],
    ['of another ledger', at(8, other), {}, 'warning: the newest patch set is of another ledger'],
    [
      'not understood',
      'Promotion-Record: x',
      {},
      'warning: the newest patch set is of another ledger, or its record cannot',
    ],
  ])('and the newest patch set is %s', (_, message, changes, expected) => {
    const newest = { commit: 'c', isOurs: true, isRight: false, message, ...changes };
    const decision = decidePatchSet(newest, own);
    expect(decision === 'push' ? decision : `${decision.isWarning ? 'warning: ' : ''}${decision.why}`).toContain(
      expected,
    );
  });

  test('and the newest patch set names a record, and ours names none', () => {
    expect(decidePatchSet({ commit: 'c', isOurs: true, isRight: false, message: at(8) }, undefined)).toBe('push');
  });
});
