import { createHash, createHmac, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import {
  findHead,
  type LedgerReader,
  type LedgerRules,
  readHead,
  sealRecord,
  verifyHead,
  verifyLedger,
} from '../../src/ledger/chain.js';
import { type LedgerRecord, ledgerRecordSchema } from '../../src/ledger/record.js';
import { httpReader } from '../../src/store/http-reader.js';
import { ledgerOf } from '../../src/store/reader.js';
import { freshImageDirectory } from '../sandbox/current.js';
import { candidateFile, digestOf, failure, http, label, optionsFor, withServer } from '../store/fixture.js';

const CURRENT = label('current-ceph');
const RULES: LedgerRules = { label: CURRENT };
const TARGET = 'quay.example/tripleomastercentos9/daemon';
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A record as JSON would have it, of an earned promotion; the types are the schema's to check. */
function record(n: number, prev: Uint8Array | undefined, changes: Record<string, unknown> = {}): LedgerRecord {
  const { reference, tag, digest } = candidateFile(String(changes.tag ?? `v${n}`));
  const { tag: _, ...rest } = changes;
  return v.parse(ledgerRecordSchema, {
    version: 1,
    id: `${n}/1/${randomUUID()}`,
    n,
    kind: 'earned',
    when: '2022-05-06T02:00:00Z',
    who: 'someone',
    'run-url': null,
    event: 'schedule',
    reason: '',
    label: 'current-ceph',
    candidate: reference,
    targets: [{ repository: TARGET, tag, digest, source: reference }],
    decision: decision(reference),
    'skipped-jobs': [],
    overridden: [],
    previous: null,
    holds: [],
    quarantine: [],
    'prev-sha256': prev === undefined ? null : sha256(prev),
    ...rest,
  });
}

function decision(reference: string, verdict = 'promote') {
  return {
    version: 1,
    candidate: reference,
    'evaluated-at': '2022-05-06T02:00:00Z',
    criteria: { label: 'current-ceph', sha256: sha256(Buffer.from('')), content: '' },
    evidence: [],
    'not-counted': [],
    verdict,
    reason: 'all jobs passed',
    jobs: [],
    'aggregate-hash': null,
    'blocked-by': [],
    warnings: [],
  };
}

/** Records 1 … of these changes, each after the one before. */
function chain(changes: readonly Record<string, unknown>[], key?: string): Buffer[] {
  const ledger: Buffer[] = [];
  for (const change of changes) ledger.push(sealRecord(record(ledger.length + 1, ledger.at(-1), change), key));
  return ledger;
}

const readerOf = (ledger: readonly (Buffer | undefined)[]): LedgerReader => ({ read: async (n) => ledger[n - 1] });
const verify = (ledger: readonly (Buffer | undefined)[], rules = RULES) => verifyLedger(readerOf(ledger), rules);

/** The record changed and sealed again, as one who can write files but has no key would. */
function forge(bytes: Buffer | undefined, change: Record<string, unknown>): Buffer {
  return Buffer.from(`${JSON.stringify({ ...JSON.parse(String(bytes)), ...change }, undefined, 2)}\n`);
}

describe('the head', () => {
  test('is found in at most 2·log2 n + 2 reads', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.nat(40), fc.nat(100_000)), async (length) => {
        let reads = 0;
        const head = await findHead({
          read: async (n) => {
            reads += 1;
            return n <= length ? Buffer.from(String(n)) : undefined;
          },
        });
        expect(head).toEqual(length === 0 ? undefined : { n: length, bytes: Buffer.from(String(length)) });
        expect(reads).toBeLessThanOrEqual(length === 0 ? 1 : 2 * Math.log2(length) + 2);
      }),
    );
  });

  test('is found in two reads where it is known, and by a new search where that is gone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(300), fc.integer({ min: 1, max: 320 }), async (length, known) => {
        let reads = 0;
        const reader: LedgerReader = {
          read: async (n) => {
            reads += 1;
            return n <= length ? Buffer.from(String(n)) : undefined;
          },
        };
        const head = await findHead(reader, known);
        expect(head?.n ?? 0).toBe(length);
        if (known === length) expect(reads).toBe(2);
      }),
    );
  });

  test('is trusted where it fits what it is written after', async () => {
    const reader = readerOf(chain([{}, {}, {}]));
    const head = await readHead(reader);
    if (head === undefined) throw new Error('no head');
    expect(head).toMatchObject({ n: 3, record: { n: 3 }, sha256: sha256(head.bytes) });
    await verifyHead(reader, head, { ...RULES, replay: () => undefined });
  });

  test('of an empty ledger is undefined', async () => {
    expect(await readHead(readerOf([]))).toBeUndefined();
  });

  test.each<[string, (ledger: Buffer[]) => (Buffer | undefined)[], Partial<LedgerRules>, RegExp]>([
    ['half a record', ([a, b]) => [a, b?.subarray(0, 100)], {}, /record 2 not trusted: it is not JSON/],
    ['a web page', ([a]) => [a, Buffer.from('<html>')], {}, /record 2 not trusted: it is not JSON/],
    ['no record', ([a]) => [a, Buffer.from('{}\n')], {}, /record 2 not trusted: /],
    ['one more key', ([a, b]) => [a, forge(b, { extra: 1 })], {}, /record 2 not trusted: extra: /],
    ['a tag without digest', ([a, b]) => [a, forge(b, { candidate: 'quay.io/ceph/daemon:v2' })], {}, /candidate: /],
    ['other bytes of the same', ([a, b]) => [a, Buffer.from(`${b} `)], {}, /not canonical/],
    ['a changed predecessor', ([a, b]) => [forge(a, { who: 'other' }), b], {}, /prev-sha256 is not that of record 1/],
    [
      'no predecessor',
      ([a, b]) => [a, b, undefined, forge(b, { n: 4 })],
      {},
      /record 4 not trusted: record 3 is missing/,
    ],
    [
      'a successor but one',
      ([a, b]) => [forge(a, {}), undefined, b],
      {},
      /record 2 not trusted: it is missing, and record 3/,
    ],
    ['another number', ([a, b]) => [a, forge(b, { n: 3 })], {}, /says that it is record 3/],
    ['another label', ([a, b]) => [a, forge(b, { label: 'other' })], {}, /is of label other/],
    ['a decision that does not replay', (ledger) => ledger, { replay: () => 'it says wait' }, /it says wait/],
    ['no HMAC', (ledger) => ledger, { key: 'k' }, /has no HMAC/],
    [
      'a verdict of wait',
      ([a, b]) => [a, forge(b, { decision: decision(candidateFile('v2').reference, 'wait') })],
      {},
      /nothing decided so/,
    ],
    ['no decision', ([a, b]) => [a, forge(b, { decision: null })], {}, /nothing decided so/],
    [
      'a decision on another image',
      ([a, b]) => [a, forge(b, { decision: decision(candidateFile('v9').reference) })],
      {},
      /on another image/,
    ],
    ['a force without reason', ([a, b]) => [a, forge(b, { kind: 'forced' })], {}, /has no reason/],
    ['an adoption that is not the first', ([a, b]) => [a, forge(b, { kind: 'adopted' })], {}, /only record 1/],
    ['no target', ([a, b]) => [a, forge(b, { targets: [] })], {}, /none of its targets is the candidate/],
    [
      'a target with another digest',
      ([a, b]) => [
        a,
        forge(b, {
          targets: [{ repository: TARGET, tag: 'v2', digest: digestOf('x'), source: candidateFile('v2').reference }],
        }),
      ],
      {},
      /another digest than its source/,
    ],
    [
      'itself as previous',
      ([a, b]) => [a, forge(b, { previous: candidateFile('v2').reference })],
      {},
      /previous image is its candidate/,
    ],
  ])('that has %s is not', async (_, tamper, rules, why) => {
    const reader = readerOf(tamper(chain([{}, {}])));
    const read = async () => {
      const head = await readHead(reader);
      if (head !== undefined) await verifyHead(reader, head, { ...RULES, ...rules });
    };
    const { kind, message } = await failure(read());
    expect(message || kind).toMatch(why);
    expect(message).not.toContain('\n');
  });
});

describe('a seal', () => {
  test('is an HMAC over the canonical bytes without it', () => {
    const sealed = JSON.parse(String(chain([{}], 'key')[0]));
    const { hmac, ...unsealed } = sealed;
    const bytes = `${JSON.stringify(unsealed, undefined, 2)}\n`;
    expect(hmac).toBe(createHmac('sha256', 'key').update(bytes).digest('hex'));
  });

  test('is checked on every record, and by its own key', async () => {
    const ledger = chain([{}, {}, {}], 'key');
    expect((await verify(ledger, { ...RULES, key: 'key' })).problem).toBeUndefined();
    expect((await verify(ledger)).problem).toBeUndefined();
    expect((await verify(ledger, { ...RULES, key: 'other' })).problem).toMatch(/record 1 .* HMAC is not by/);
    const forged = [ledger[0], ledger[1], forge(ledger[2], { who: 'another' })];
    expect((await verify(forged)).problem).toBeUndefined();
    expect((await verify(forged, { ...RULES, key: 'key' })).problem).toMatch(/record 3 .* HMAC is not by/);
  });

  test('a record that no reader would take is not sealed', () => {
    expect(() => sealRecord({ ...record(1, undefined), n: 0 }, undefined)).toThrow();
  });
});

describe('a whole ledger', () => {
  const reference = (tag: string) => candidateFile(tag).reference;
  const ban = (tag: string) => ({
    tag,
    digest: digestOf(tag),
    reason: 'broken',
    who: 'someone',
    since: '2022-05-06T02:00:00Z',
  });
  const byHand = { reason: 'because', decision: null };

  test('verifies, of all kinds', async () => {
    const ledger = chain([
      { kind: 'adopted', decision: null, reason: 'was there' },
      { previous: reference('v1') },
      { kind: 'rollback', tag: 'v1', ...byHand, holds: [ban('v2')] },
      { kind: 'lift', tag: 'v1', ...byHand },
      { kind: 'quarantine', tag: 'v1', ...byHand, quarantine: [ban('v2')] },
      {
        ...{ kind: 'forced', ...byHand, previous: reference('v1'), overridden: ['wait'], 'skipped-jobs': ['job'] },
        quarantine: [ban('v2')],
      },
    ]);
    const { records, problem } = await verify(ledger);
    expect(problem).toBeUndefined();
    expect(records.map(({ kind }) => kind)).toEqual(['adopted', 'earned', 'rollback', 'lift', 'quarantine', 'forced']);
  });

  const five = () => chain([{}, {}, {}, {}, {}]);
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
      /record 3 not trusted: it is missing, and record 4 is there/,
    ],
    ['a missing first record', replaced(five(), 0, () => undefined), 0, /record 1 not trusted: it is missing/],
    ['swapped records', [0, 2, 1, 3, 4].map((n) => five()[n]), 1, /record 2 not trusted: it says that it is record 3/],
    ['a cut-off beginning', five().slice(1), 0, /record 1 not trusted: it says that it is record 2/],
    [
      'records that were never promoted before',
      chain([{}, { previous: reference('v9') }]),
      1,
      /previous .* was never promoted/,
    ],
    [
      'a rollback to the unknown',
      chain([{}, { kind: 'rollback', tag: 'v9', ...byHand }]),
      1,
      /rolls back to what was never/,
    ],
    ['a lift that changes the image', chain([{}, { kind: 'lift', tag: 'v2', ...byHand }]), 1, /changes the image/],
    [
      'a force of what is quarantined',
      chain([{ quarantine: [ban('v2')] }, { kind: 'forced', ...byHand, quarantine: [ban('v2')] }]),
      1,
      /promotes what is quarantined/,
    ],
    ['an end of quarantine', chain([{ quarantine: [ban('v9')] }, {}]), 1, /takes v9 out of quarantine/],
    ['what is on hold', chain([{ holds: [ban('v2')] }, {}]), 1, /promotes what is on hold/],
    [
      'a rollback to what is on hold',
      chain([{}, { holds: [ban('v1')] }, { kind: 'rollback', tag: 'v1', ...byHand }]),
      2,
      /promotes what is on hold/,
    ],
  ])('%s', async (_, ledger, good, why) => {
    const { records, problem } = await verify(ledger);
    expect(problem ?? 'fine').toMatch(why);
    expect(records).toHaveLength(good);
  });

  test('any one byte changed in it is found', async () => {
    const ledger = chain([{}, {}, {}], 'key');
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

describe('on the image server', () => {
  test('a thousand records are verified by HTTP alone, and appended to over SFTP', async () => {
    const { server, path, url } = await freshImageDirectory();
    const folder = join(path, 'ledger/current-ceph');
    mkdirSync(folder, { recursive: true });
    const ledger = chain(Array.from({ length: 1000 }, () => ({})));
    for (const [index, bytes] of ledger.entries()) writeFileSync(join(folder, `${index + 1}.json`), bytes);
    const overHttp = ledgerOf(httpReader(http, new URL(url)), CURRENT);
    expect(await verifyLedger(overHttp, RULES)).toMatchObject({ problem: undefined, records: { length: 1000 } });

    await withServer(server, async (opened) => {
      const head = await readHead(ledgerOf(opened, CURRENT));
      expect(head?.n).toBe(1000);
      const next = record(1001, head?.bytes);
      expect(await opened.appendRecord(CURRENT, 1001, sealRecord(next, undefined), next.id)).toBe('won');
    });
    expect((await readHead(overHttp))?.n).toBe(1001);
    writeFileSync(join(folder, '500.json'), forge(ledger[499], { reason: 'forged' }));
    expect((await verifyLedger(overHttp, RULES)).problem).toMatch(/^ledger record 501 not trusted: its prev-sha256/);
  });

  test('a number is won once, and stays won', async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      const [first, second] = [record(1, undefined), record(1, undefined)];
      const append = (one: LedgerRecord) => opened.appendRecord(CURRENT, one.n, sealRecord(one, undefined), one.id);
      expect(await append(first)).toBe('won');
      expect(await append(second)).toBe('lost');
      expect(await append(first)).toBe('won');
      expect(await opened.readRecord(CURRENT, 1)).toEqual(sealRecord(first, undefined));
      expect(await opened.readRecord(CURRENT, 2)).toBeUndefined();
      expect(await failure(append(record(3, undefined)))).toEqual({
        kind: 'conflict',
        message: expect.stringMatching(/3\.json: not written, record 2 is missing$/),
      });
      writeFileSync(join(path, 'ledger/current-ceph/3.json'), 'a later record');
      expect(await failure(append(record(2, undefined)))).toMatchObject({ kind: 'conflict' });
    });
    expect(readdirSync(path)).toEqual(['ledger']);
  });

  test('a record that somebody else put there is not taken for ours', async () => {
    const { server, path } = await freshImageDirectory();
    mkdirSync(join(path, 'ledger/current-ceph'), { recursive: true });
    writeFileSync(join(path, 'ledger/current-ceph/1.json'), 'garbage');
    const own = record(1, undefined);
    const appended = withServer(server, (opened) =>
      opened.appendRecord(CURRENT, 1, sealRecord(own, undefined), own.id),
    );
    expect(await appended).toBe('lost');
    expect(readFileSync(join(path, 'ledger/current-ceph/1.json'), 'utf8')).toBe('garbage');
  });

  describe('eight writers at once', () => {
    let servers: Awaited<ReturnType<typeof openAll>>;
    let place: Awaited<ReturnType<typeof freshImageDirectory>>;
    async function openAll() {
      const { openSftpStore } = await import('../../src/store/sftp/sftp-store.js');
      return Promise.all(Array.from({ length: 8 }, () => openSftpStore(optionsFor(place.server))));
    }
    beforeAll(async () => {
      place = await freshImageDirectory();
      servers = await openAll();
    });

    test('win each number exactly once, in 20 rounds', async () => {
      for (let n = 1; n <= 20; n += 1) {
        const before = n === 1 ? undefined : readFileSync(join(place.path, `ledger/current-ceph/${n - 1}.json`));
        const results = await Promise.all(
          servers.map(async (server) => {
            const own = record(n, before);
            return { id: own.id, result: await server.appendRecord(CURRENT, n, sealRecord(own, undefined), own.id) };
          }),
        );
        const winners = results.filter(({ result }) => result === 'won');
        expect(winners).toHaveLength(1);
        const [head] = winners;
        expect(JSON.parse(readFileSync(join(place.path, `ledger/current-ceph/${n}.json`), 'utf8')).id).toBe(head?.id);
      }
      for (const server of servers) server.close();
      expect(readdirSync(place.path)).toEqual(['ledger']);
    });
  });
});
