import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatRepository } from '../../src/candidate/reference.js';
import { readHead } from '../../src/ledger/head.js';
import { recordNumber } from '../../src/ledger/paths.js';
import type { LedgerRules } from '../../src/ledger/reader.js';
import { verifyLedger } from '../../src/ledger/verify.js';
import { banOn, CURRENT, chainOf, digestOf, forge, image, readerOf, reference, reportOn, TARGET } from './fixture.js';

const RULES: LedgerRules = { label: CURRENT };
const verify = (ledger: readonly (Buffer | undefined)[], rules = RULES) => verifyLedger(readerOf(ledger), rules);
const three = () => chainOf([['v1'], ['v2'], ['v3']]);

async function problemOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no problem',
    (error: Error) => error.message,
  );
}

describe('the head', () => {
  test('is found over HTTP in at most 2·log2 n + 20 reads', async () => {
    const [first] = chainOf([['v1']]);
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.nat(40), fc.nat(100_000)), async (length) => {
        let reads = 0;
        const reader = {
          list: async () => undefined,
          read: async (n: number) => {
            reads += 1;
            return n <= length ? first : undefined;
          },
        };
        // Every record is record 1, so that only the search is tested here.
        const problem = await problemOf(readHead(reader, RULES));
        expect(problem).toBe(
          length <= 1 ? 'no problem' : `ledger record ${length} not trusted: it says that it is record 1`,
        );
        expect(reads).toBeLessThanOrEqual(2 * Math.log2(Math.max(1, length)) + 20);
      }),
    );
  });

  test.each([{ lists: true }, { lists: false }])('is the newest record: %j', async (how) => {
    const ledger = three();
    expect(await readHead(readerOf(ledger, how), RULES)).toMatchObject({ n: 3, record: { n: 3 }, bytes: ledger[2] });
    expect(await readHead(readerOf(ledger, how), RULES, 2)).toMatchObject({ n: 3 });
    expect(await readHead(readerOf(ledger, how), RULES, 9)).toMatchObject({ n: 3 });
    expect(await readHead(readerOf([], how), RULES)).toBeUndefined();
  });

  test('a server that has a record for every number ends the search', async () => {
    const [first] = chainOf([['v1']]);
    let asked = 0;
    const read = async () => {
      asked += 1;
      return first;
    };
    expect(await problemOf(readHead({ list: async () => undefined, read }, RULES))).toMatch(
      /no ledger has so many records/,
    );
    expect(asked).toBeLessThan(30);
  });

  test('if a ledger can be listed, any missing record stops the run', async () => {
    const ledger = chainOf(Array.from({ length: 8 }, (_, n) => [`v${n + 1}`] as const));
    await fc.assert(
      fc.asyncProperty(fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }), async (removed) => {
        const holed = ledger.map((bytes, index) => (removed.includes(index + 1) ? undefined : bytes));
        expect(await problemOf(readHead(readerOf(holed), RULES))).toBe(
          `ledger record ${Math.min(...removed)} not trusted: it is missing, and record 8 is there`,
        );
      }),
    );
  });

  test('over HTTP, up to eight missing records in a row never make an earlier record the head', async () => {
    const ledger = chainOf(Array.from({ length: 12 }, (_, n) => [`v${n + 1}`] as const));
    for (let from = 2; from <= 4; from += 1) {
      for (let size = 1; size <= 8 && from + size <= 12; size += 1) {
        const holed = ledger.map((bytes, index) => (index + 1 >= from && index + 1 < from + size ? undefined : bytes));
        const read = readHead(readerOf(holed, { lists: false }), RULES).then((head) => String(head?.n));
        expect(await read.catch((error: Error) => error.message)).toMatch(/^12$|not trusted: .*missing/);
      }
    }
  });

  test.each<[string, (ledger: Buffer[]) => (Buffer | undefined)[], Partial<LedgerRules>, RegExp]>([
    ['half a record', ([a, b]) => [a, b?.subarray(0, 100)], {}, /record 2 not trusted: it is not JSON/],
    ['a web page', ([a]) => [a, Buffer.from('<html>')], {}, /record 2 not trusted: it is not JSON/],
    ['no record', ([a]) => [a, Buffer.from('{}\n')], {}, /record 2 not trusted: /],
    ['one more key', ([a, b]) => [a, forge(b, { extra: 1 })], {}, /record 2 not trusted: extra: /],
    ['a tag without digest', ([a, b]) => [a, forge(b, { candidate: 'quay.io/ceph/daemon:v2' })], {}, /candidate: /],
    ['other bytes of the same', ([a, b]) => [a, Buffer.from(`${b} `)], {}, /not canonical/],
    [
      'a changed predecessor',
      ([a, b]) => [forge(a, { who: 'other' }), b],
      {},
      /prev-sha256 is not the hash of record 1/,
    ],
    [
      'a predecessor of the first',
      ([a]) => [forge(a, { 'prev-sha256': '0'.repeat(64) })],
      {},
      /record 1 not trusted: it is the first, but has a prev-sha256/,
    ],
    [
      'no predecessor',
      ([a, b]) => [a, b, undefined, forge(b, { n: 4 })],
      {},
      /record 3 not trusted: it is missing, and record 4/,
    ],
    [
      'a successor but one',
      ([a, b]) => [forge(a, {}), undefined, b],
      {},
      /record 2 not trusted: it is missing, and record 3/,
    ],
    [
      'a copy of an older record as the newest',
      ([a, b]) => [a, b, b],
      {},
      /record 3 not trusted: it says that it is record 2/,
    ],
    [
      'only its newest record',
      ([, b]) => [undefined, b],
      {},
      /record 1 not trusted: it is missing, and record 2 is there/,
    ],
    ['another number', ([a, b]) => [a, forge(b, { n: 3 })], {}, /says that it is record 3/],
    ['another label', ([a, b]) => [a, forge(b, { label: 'other' })], {}, /its label is other/],
    [
      'a decision that does not replay',
      ([a, b]) => [a, forge(b, { decision: { ...reportOn(image('v2'), ['check']), verdict: 'promote' } })],
      {},
      /evaluates to reject, but says promote/,
    ],
    ['no HMAC', (ledger) => ledger, { key: 'k' }, /has no HMAC/],
    [
      'a verdict of wait',
      ([a, b]) => [a, forge(b, { decision: reportOn(image('v2'), [], ['check']) })],
      {},
      /its decision does not promote/,
    ],
    ['no decision', ([a, b]) => [a, forge(b, { decision: null })], {}, /is earned, but has no decision/],
    [
      'a decision on another image',
      ([a, b]) => [a, forge(b, { decision: reportOn(image('v9')) })],
      {},
      /its decision is about /,
    ],
    ['a force without reason', ([a, b]) => [a, forge(b, { kind: 'forced', reason: '' })], {}, /has no reason/],
    [
      'an adoption that is not the first',
      ([a, b]) => [a, forge(b, { kind: 'adopted', decision: null })],
      {},
      /only record 1/,
    ],
    ['no target', ([a, b]) => [a, forge(b, { targets: [] })], {}, /none of its targets is the candidate/],
    [
      'a target with another digest',
      ([a, b]) => [
        a,
        forge(b, {
          targets: [
            { repository: formatRepository(TARGET), tag: 'v2', digest: digestOf('x'), source: reference('v2') },
          ],
        }),
      ],
      {},
      /does not have the digest of its source/,
    ],
    [
      'itself as previous',
      ([a, b]) => [a, forge(b, { previous: reference('v2') })],
      {},
      /previous image is its candidate/,
    ],
  ])('that has %s is not', async (_, tamper, rules, why) => {
    const reader = readerOf(tamper(chainOf([['v1'], ['v2']])));
    const problem = await problemOf(readHead(reader, { ...RULES, ...rules }));
    expect(problem).toMatch(why);
    expect(problem).not.toContain('\n');
  });
});

test.each([
  '01.json',
  '0.json',
  '-1.json',
  '1e1.json',
  '1.5.json',
  ' 2.json',
  '2.json.bak',
  '2.JSON',
  '１.json',
  '1000000000.json',
])('a file %j is no record', (name) => expect(recordNumber(name)).toBeUndefined());

describe('a seal', () => {
  test('is an HMAC over the canonical bytes without it', () => {
    const { hmac, ...unsealed } = JSON.parse(String(chainOf([['v1']], 'key')[0]));
    const bytes = `${JSON.stringify(unsealed, undefined, 2)}\n`;
    expect(hmac).toBe(createHmac('sha256', 'key').update(bytes).digest('hex'));
  });

  test('is checked on every record, and only with its own key', async () => {
    const ledger = chainOf([['v1'], ['v2'], ['v3']], 'key');
    expect((await verify(ledger, { ...RULES, key: 'key' })).problem).toBeUndefined();
    expect((await verify(ledger)).problem).toBeUndefined();
    expect((await verify(ledger, { ...RULES, key: 'other' })).problem).toMatch(/record 1 .* HMAC was not made with/);
    const forged = [ledger[0], ledger[1], forge(ledger[2], { who: 'another' })];
    expect((await verify(forged)).problem).toBeUndefined();
    expect((await verify(forged, { ...RULES, key: 'key' })).problem).toMatch(/record 3 .* HMAC was not made with/);
  });

  test('of another key names the key, which may be the wrong one; any other damage does not', async () => {
    const sealed = chainOf([['v1'], ['v2']], 'key');
    const other = { ...RULES, key: 'other' };
    await expect(readHead(readerOf(sealed), other)).rejects.toMatchObject({ hint: 'ledger-key' });
    const [one] = sealed;
    await expect(readHead(readerOf([one, one]), other)).rejects.toMatchObject({ hint: 'restore-ledger' });
  });
});

describe('a whole ledger', () => {
  test('verifies, of all kinds', async () => {
    const ledger = chainOf([
      ['v1', { kind: 'adopted' }],
      ['v2', { previous: image('v1') }],
      ['v1', { kind: 'rollback', holds: [banOn('v2')] }],
      ['v1', { kind: 'lift' }],
      ['v1', { kind: 'hold', holds: [banOn('v2')] }],
      ['v1', { kind: 'quarantine', quarantine: [banOn('v2')] }],
      ['v6', { kind: 'forced', previous: image('v1'), quarantine: [banOn('v2')] }],
    ]);
    const { records, problem } = await verify(ledger);
    expect(problem).toBeUndefined();
    expect(records).toHaveLength(7);
  });

  const five = () => chainOf([['v1'], ['v2'], ['v3'], ['v4'], ['v5']]);
  test.each<[string, (Buffer | undefined)[], number, RegExp]>([
    ['an empty one', [], 0, /^fine$/],
    [
      'a forged record',
      replaced(five(), 2, (bytes) => forge(bytes, { who: 'other' })),
      3,
      /record 4 not trusted: its prev-sha256/,
    ],
    [
      'a missing record',
      replaced(five(), 2, () => undefined),
      2,
      /record 3 not trusted: it is missing, and record 5 is there/,
    ],
    ['a missing first record', replaced(five(), 0, () => undefined), 0, /record 1 not trusted: it is missing/],
    ['swapped records', [0, 2, 1, 3, 4].map((n) => five()[n]), 1, /record 2 not trusted: it says that it is record 3/],
    ['a cut-off beginning', five().slice(1), 0, /record 1 not trusted: it says that it is record 2/],
    [
      'a previous that was never promoted',
      chainOf([['v1'], ['v2', { previous: image('v9') }]]),
      1,
      /its previous image v9 was never promoted/,
    ],
    [
      'a rollback to the unknown',
      chainOf([['v1'], ['v9', { kind: 'rollback' }]]),
      1,
      /rolls back to an image that was never/,
    ],
    [
      'a lift that changes the image',
      chainOf([['v1'], ['v2', { kind: 'lift' }]]),
      1,
      /kind lift, but changes the image/,
    ],
    ['a hold that changes the image', chainOf([['v1'], ['v2', { kind: 'hold' }]]), 1, /changes the image/],
    [
      'a force of what is quarantined',
      chainOf([
        ['v1', { quarantine: [banOn('v2')] }],
        ['v2', { kind: 'forced', quarantine: [banOn('v2')] }],
      ]),
      1,
      /promotes a quarantined image/,
    ],
    ['an end of quarantine', chainOf([['v1', { quarantine: [banOn('v9')] }], ['v2']]), 1, /takes v9 out of quarantine/],
    [
      'an end of quarantine of one platform',
      chainOf([
        ['v1', { quarantine: [banOn('v9', [digestOf('amd64'), digestOf('arm64')])] }],
        ['v2', { quarantine: [banOn('v9', [digestOf('arm64')])] }],
      ]),
      1,
      /takes v9 out of quarantine, or a part of it/,
    ],
    ['what is on hold', chainOf([['v1', { holds: [banOn('v2')] }], ['v2']]), 1, /promotes an image on hold/],
    [
      'a rollback to what is on hold',
      chainOf([['v1'], ['v2', { holds: [banOn('v1')] }], ['v1', { kind: 'rollback' }]]),
      2,
      /promotes an image on hold/,
    ],
  ])('%s', async (_, ledger, good, why) => {
    const { records, problem } = await verify(ledger);
    expect(problem ?? 'fine').toMatch(why);
    expect(records).toHaveLength(good);
  });

  test('a change of any one byte is found', async () => {
    const ledger = chainOf([['v1'], ['v2'], ['v3']], 'key');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        async (n, at, flip) => {
          const changed = replaced(ledger, n, (bytes) => {
            const copy = Buffer.from(bytes ?? []);
            const index = Math.min(copy.length - 1, Math.floor(at * copy.length));
            copy[index] = (copy[index] ?? 0) ^ flip;
            return copy;
          });
          expect((await verify(changed, { ...RULES, key: 'key' })).problem).toMatch(/^ledger record \d not trusted: /);
        },
      ),
    );
  });
});

function replaced(ledger: Buffer[], index: number, by: (bytes: Buffer | undefined) => Buffer | undefined) {
  const copy: (Buffer | undefined)[] = [...ledger];
  copy[index] = by(copy[index]);
  return copy;
}
