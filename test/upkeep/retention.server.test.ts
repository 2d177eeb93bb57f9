import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { candidateOf, nextRecord } from '../../src/promotion/plan.js';
import { candidateTargets, parseTargets } from '../../src/promotion/targets.js';
import type { CandidateFile } from '../../src/store/candidate-file.js';
import { removable } from '../../src/upkeep/retention.js';
import { CURRENT } from '../promotion/support.js';
import { candidate, candidateFile } from '../store/fixture.js';

const TARGET = 'quay.example/a/daemon';
const targets = parseTargets([TARGET]);
const names = Array.from({ length: 8 }, (_, index) => `v${index}`);

/** A ledger by what is promoted, one a day; of each but the first, the one before is the way back. */
function ledgerOf(promoted: readonly string[], held: readonly string[]): LedgerRecord[] {
  return promoted.map((name, index) => {
    const before = promoted[index - 1];
    const change = {
      kind: 'forced',
      reason: 'because',
      candidate: candidate(name),
      targets: candidateTargets(targets, candidate(name)),
      previous: before === undefined || before === name ? undefined : candidate(before),
      holds: held.map((tag) => ({ ...candidate(tag), reason: '', who: '', since: '2022-05-06T02:00:00Z' })),
      quarantine: [],
      decision: null,
    } as const;
    const author = { id: '1/1/00000000-0000-0000-0000-000000000000', who: '', runUrl: null, event: '' };
    const head = index === 0 ? undefined : { n: index, sha256: '0'.repeat(64) };
    return nextRecord(
      head,
      CURRENT,
      { ...change, holds: [...change.holds], quarantine: [] },
      author,
      86_400 * (index + 1),
    );
  });
}

const someNames = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 30 });

test('what a rollback may need is never removable; of the rest, all that was promoted is', () => {
  fc.assert(
    fc.property(someNames, fc.subarray(names), fc.nat(9), fc.subarray(names), (promoted, held, more, labelled) => {
      const ledger = ledgerOf(promoted, held);
      const keep = more + 1;
      const files: CandidateFile[] = names.map((name) => ({ ...candidateFile(name), created: '2030-01-01T00:00:00Z' }));
      const found = removable([ledger], files, { keep, repositories: [TARGET], labelled: new Set(labelled) });
      const newest = [...new Set(promoted.toReversed())].slice(0, keep);
      const previous = ledger.at(-1)?.previous;
      const needed = new Set<string>([
        ...newest,
        ...held,
        ...labelled,
        ...(previous ? [candidateOf(previous).tag] : []),
      ]);
      const unneeded = new Set(promoted.filter((name) => !needed.has(name)));
      expect(new Set(found.images.map(({ tag }) => String(tag)))).toEqual(unneeded);
      expect(new Set<string>(found.artifacts)).toEqual(unneeded);
    }),
  );
});

test('a candidate that was never promoted stays while it is younger than the oldest that is kept', () => {
  const ledger = ledgerOf(['v0', 'v1', 'v2'], []);
  const files = [
    { ...candidateFile('v6'), created: '1970-01-02T00:00:00Z' },
    { ...candidateFile('v7'), created: '1970-01-03T00:00:00Z' },
  ];
  const options = { repositories: [], labelled: new Set<string>() };
  expect(removable([ledger], files, { ...options, keep: 2 }).artifacts).toEqual(['v6']);
  expect(removable([ledger], files, { ...options, keep: 3 }).artifacts).toEqual([]);
  expect(removable([], files, { ...options, keep: 1 }).artifacts).toEqual([]);
});

test('what is quarantined is none of the newest that can be gone back to', () => {
  const ledger = ledgerOf(['v0', 'v1', 'v2', 'v3'], []);
  const head = ledger.at(-1);
  head?.quarantine.push({ ...candidate('v2'), reason: '', who: '', since: '2022-05-06T02:00:00Z' });
  if (head !== undefined) head.previous = null;
  const options = { keep: 2, repositories: [TARGET], labelled: new Set<string>() };
  expect(removable([ledger], [], options).images.map(({ tag }) => tag)).toEqual(['v0', 'v2']);
});

test('what one ledger needs, no other gives up', () => {
  const files = names.map((name) => candidateFile(name));
  const options = { keep: 1, repositories: [TARGET], labelled: new Set<string>() };
  const [one, other] = [ledgerOf(['v0', 'v1', 'v2'], []), ledgerOf(['v2', 'v1', 'v0'], [])];
  expect(removable([one], files, options).images.map(({ tag }) => tag)).toEqual(['v0']);
  expect(removable([one, other], files, options).images).toEqual([]);
});
