import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatCandidate } from '../../src/candidate/reference.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import type { CandidateFile } from '../../src/store/candidate-file.js';
import { removable } from '../../src/upkeep/retention.js';
import { banOn, image, recordOf, TARGET } from '../ledger/fixture.js';

const names = Array.from({ length: 8 }, (_, index) => `v${index}`);

function candidateFile(name: string): CandidateFile {
  const { tag, digest } = image(name);
  return {
    reference: formatCandidate(image(name)),
    tag,
    digest,
    created: '2022-05-06T02:00:00Z',
    'run-url': null,
    'tags-read': 0,
  };
}

/** A ledger of these images, one a day; from each but the first, a rollback goes to the one before. */
function ledgerOf(promoted: readonly string[], held: readonly string[]): LedgerRecord[] {
  return promoted.map((name, index) => {
    const before = promoted[index - 1];
    return recordOf(name, index + 1, undefined, {
      kind: 'forced',
      when: new Date(86_400_000 * (index + 1)).toISOString().replace('.000Z', 'Z'),
      previous: before === undefined || before === name ? undefined : image(before),
      holds: held.map((one) => banOn(one)),
    });
  });
}

const someNames = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 30 });

test('what a rollback may need is never removed; everything else that was promoted can be', () => {
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
        ...(previous === undefined ? [] : [previous.tag]),
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

test('what is quarantined is not among the newest that a rollback can go to', () => {
  const ledger = [
    ...ledgerOf(['v0', 'v1', 'v2'], []),
    recordOf('v3', 4, undefined, { quarantine: [banOn('v2')], when: '1970-01-05T00:00:00Z' }),
  ];
  const options = { keep: 2, repositories: [TARGET], labelled: new Set<string>() };
  expect(removable([ledger], [], options).images.map(({ tag }) => tag)).toEqual(['v0', 'v2']);
});

test('what one ledger needs is not removed for another', () => {
  const files = names.map((name) => candidateFile(name));
  const options = { keep: 1, repositories: [TARGET], labelled: new Set<string>() };
  const [one, other] = [ledgerOf(['v0', 'v1', 'v2'], []), ledgerOf(['v2', 'v1', 'v0'], [])];
  expect(removable([one], files, options).images.map(({ tag }) => tag)).toEqual(['v0']);
  expect(removable([one, other], files, options).images).toEqual([]);
});
