import { expect, test } from '@jest/globals';
import { compare, compareRegressed, expectAgreement, expectAgreementOnRegressions } from './comparison.js';
import type { Build, Criteria, Needed, Report, Vote } from './document-evaluator.js';
import { DIGEST, digestOf, NOW } from './fixtures.js';
import { ALONE, BUILT, BY_A_WORD, fileWith, type History, reportsOn, WITH_COMPANIONS } from './histories.js';

/**
 * The product, compared with docs/reference/criteria.md as document-evaluator.ts reads it. Where the two disagree, one
 * of them does not do what the document says. document-evaluator.field.test.ts does the same more often.
 */

test('the product decides as the document says, from the evidence and from its record alone', async () => {
  const verdicts = await expectAgreement(500, 50);
  for (const verdict of ['promote', 'wait', 'reject']) expect(verdicts.get(verdict)).toBeGreaterThan(12);
});

test('the product finds the regressions that the document describes', async () => {
  await expectAgreementOnRegressions(100, 50);
});

// ---- What the document once left open ----

const OTHER_SET = digestOf('5');
const vote = (success: boolean | undefined, rest: Partial<Vote> = {}): Vote => ({
  source: 'dlrn',
  job: 'a',
  success,
  notes: 'OWN',
  user: 'ciuser',
  aggregateHash: 'h1',
  time: NOW - 100,
  ...rest,
});
const before = { time: NOW - 200 };
const passed = vote(true, before);
const failed = (notes: string, rest: Partial<Vote> = {}) => vote(false, { notes, ...rest });
const otherHash = { aggregateHash: 'h2' };

const reference = `quay.io/ceph/daemon:TAG@${DIGEST}`;
const elsewhere = `mirror.example/ceph/daemon:TAG@${DIGEST}`;
const build = (result: string, ...artifacts: Build['artifacts']): Build => ({
  source: 'zuul',
  job: 'a',
  result,
  artifacts,
  end: NOW - 100,
});
const needed = (own: Partial<Needed>): Needed => ({ source: 'needs', job: 'a', result: 'success', attempt: 1, ...own });

const A: Criteria = { required: ['a'] };
const ACROSS: Criteria = { required: ['a'], 'across-hashes': true };
const BARE: Criteria = { required: ['a'], 'bare-tags': true };
const SIGNED: Criteria = { attestations: [{ type: BUILT, ...{ issuer: 'https://i.example', identity: 'x' } }] };
const endOf = (until: string): Criteria => ({ required: ['a', 'b'], waivers: [{ job: 'b', until, reason: 'x' }] });

test.each<[string, string, Criteria, Report[], History['set']?]>([
  ['a failure of another tag in another set', 'promote', A, [passed, failed(`v6.0.1@${DIGEST} set=${OTHER_SET}`)]],
  ['a failure in a set, where it has no companions', 'wait', A, [passed, failed(`TAG@${DIGEST} set=${OTHER_SET}`)]],
  ['a failure of the tag in a set that cannot be read', 'wait', A, [passed, failed('TAG set=x', otherHash)]],
  ['a failure with spaces around exact notes', 'wait', A, [passed, failed(' OWN ')]],
  ['a failure with the tag after a repository', 'wait', A, [passed, failed('quay.io:443/ceph/daemon:TAG', otherHash)]],
  ['a failure of the bare digest, on the hash', 'wait', A, [passed, failed(DIGEST)]],
  ['a failure of the bare digest, on another hash', 'promote', A, [passed, failed(DIGEST, otherHash)]],
  ['a job that runs, with spaces around exact notes', 'promote', A, [passed, vote(undefined, { notes: ' OWN ' })]],
  ['a failure of a word, on the hash', 'wait', A, [passed, failed('failed@host1')]],
  ['a failure of a word, on another hash', 'promote', A, [passed, failed('failed@host1', otherHash)]],
  ['the same where hashes add up', 'promote', ACROSS, [passed, failed('failed@host1', otherHash)]],
  ['a failure of the word that is the tag', 'wait', A, [passed, failed('TAG', otherHash)], BY_A_WORD],
  ['a failure of the bare tag, which counts', 'reject', BARE, [passed, failed('TAG')]],
  ['a failure of the bare tag, which names no set', 'wait', BARE, [passed, failed('TAG')], WITH_COMPANIONS],
  ['a build of a reference without a registry', 'wait', A, [build('SUCCESS', { reference: reference.slice(8) })]],
  ['a failed build of one', 'wait', A, [passed, build('FAILURE', { reference: reference.slice(8) })]],
  ['a build of it in another repository', 'promote', A, [build('SUCCESS', { reference: elsewhere })]],
  ['a needed job that names it in another repository', 'wait', A, [needed({ reference: elsewhere })]],
  ['a statement, and no result at all', 'promote', SIGNED, [{ source: 'attestation', name: BUILT }]],
  ['the last day of a waiver', 'promote', endOf('2026-11-24'), [passed]],
])('%s: %s', async (_, verdict, criteria, reports, set = ALONE) => {
  const history = { file: fileWith(criteria), set, reports: reportsOn(set, reports), now: NOW };
  const { product, document } = await compare(history);
  expect(product).toEqual(document);
  expect(document).toMatchObject({ verdict });
});

test('a waiver that ended yesterday is an error', async () => {
  const history = { file: fileWith(endOf('2026-11-23')), set: ALONE, reports: [], now: NOW };
  expect(await compare(history)).toEqual({ product: 'error', document: 'error' });
});

test.each([
  ['waived', endOf('2026-11-24'), false],
  ['not waived', { required: ['a', 'b'] }, true],
])('a job that was %s when the image was promoted, and fails now', async (_, criteria, regressed) => {
  const both = [passed, { ...passed, job: 'b' }];
  const since = vote(false, { job: 'b' });
  const first = { file: fileWith(criteria), set: ALONE, reports: reportsOn(ALONE, both), now: NOW - 150 };
  const later = { file: fileWith(['a', 'b']), set: ALONE, reports: reportsOn(ALONE, [...both, since]), now: NOW };
  expect(await compareRegressed([first, later])).toEqual({ product: regressed, document: regressed });
});

test.each<[string, Report[]]>([
  ['a failure', [passed, build('FAILURE', { reference: reference.replace('TAG', 'v6.0.1') }, { reference: '' })]],
  ['a pass', [build('SUCCESS', { reference }, { reference: '' })]],
])('%s in Zuul with two artifacts, of which one cannot be read: wait', async (_, reports) => {
  const history = { file: fileWith(A), set: ALONE, reports: reportsOn(ALONE, reports), now: NOW };
  const { product, document } = await compare(history);
  expect(document).toMatchObject({ verdict: 'wait' });
  expect(product).toEqual(document);
});
