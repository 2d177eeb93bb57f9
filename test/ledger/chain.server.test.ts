import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { formatRecord } from '../../src/ledger/codec.js';
import { readHead } from '../../src/ledger/head.js';
import type { LedgerRules } from '../../src/ledger/reader.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { verifyLedger } from '../../src/ledger/verify.js';
import { httpReader } from '../../src/store/http-reader.js';
import { ledgerOf } from '../../src/store/reader.js';
import { freshImageDirectory } from '../sandbox/current.js';
import { failure, http, optionsFor, withServer } from '../store/fixture.js';
import { CURRENT, chainOf, forge, recordOf } from './fixture.js';

const RULES: LedgerRules = { label: CURRENT };

/** A record that nobody else writes. */
function own(n: number, before: Uint8Array | undefined): LedgerRecord {
  return { ...recordOf('v1', n, before), id: `${n}/1/${randomUUID()}` };
}

describe('on the image server', () => {
  test('a thousand records are verified by HTTP alone, and appended to over SFTP', async () => {
    const { server, path, url } = await freshImageDirectory();
    const folder = join(path, 'ledger/current-ceph');
    mkdirSync(folder, { recursive: true });
    const ledger = chainOf(Array.from({ length: 1000 }, () => ['v1'] as const));
    for (const [index, bytes] of ledger.entries()) writeFileSync(join(folder, `${index + 1}.json`), bytes);
    const overHttp = ledgerOf(httpReader(http, new URL(url)), CURRENT);
    expect(await verifyLedger(overHttp, RULES)).toMatchObject({ problem: undefined, records: { length: 1000 } });

    await withServer(server, async (opened) => {
      const head = await readHead(ledgerOf(opened, CURRENT), RULES);
      expect(head?.n).toBe(1000);
      const next = recordOf('v2', 1001, head?.bytes);
      expect(await opened.appendRecord(CURRENT, 1001, formatRecord(next, undefined), next.id)).toBe('won');
    });
    expect((await readHead(overHttp, RULES))?.n).toBe(1001);
    writeFileSync(join(folder, '500.json'), forge(ledger[499], { reason: 'forged' }));
    expect((await verifyLedger(overHttp, RULES)).problem).toMatch(/^ledger record 501 not trusted: its prev-sha256/);
  });

  test('each number has one winner, for good', async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      const [first, second] = [own(1, undefined), own(1, undefined)];
      const append = (one: LedgerRecord) => opened.appendRecord(CURRENT, one.n, formatRecord(one, undefined), one.id);
      expect(await append(first)).toBe('won');
      expect(await append(second)).toBe('lost');
      expect(await append(first)).toBe('won');
      expect(await opened.readRecord(CURRENT, 1)).toEqual(formatRecord(first, undefined));
      expect(await opened.readRecord(CURRENT, 2)).toBeUndefined();
      expect(await failure(append(own(3, undefined)))).toEqual({
        kind: 'conflict',
        message: expect.stringMatching(/3\.json: not written, record 2 is missing$/),
      });
      writeFileSync(join(path, 'ledger/current-ceph/3.json'), 'a later record');
      expect(await failure(append(own(2, undefined)))).toMatchObject({ kind: 'conflict' });
    });
    expect(readdirSync(path)).toEqual(['ledger']);
  });

  test('a record that somebody else wrote is not taken for our own', async () => {
    const { server, path } = await freshImageDirectory();
    mkdirSync(join(path, 'ledger/current-ceph'), { recursive: true });
    writeFileSync(join(path, 'ledger/current-ceph/1.json'), 'garbage');
    const mine = own(1, undefined);
    const appended = withServer(server, (opened) =>
      opened.appendRecord(CURRENT, 1, formatRecord(mine, undefined), mine.id),
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
            const mine = own(n, before);
            return {
              id: mine.id,
              result: await server.appendRecord(CURRENT, n, formatRecord(mine, undefined), mine.id),
            };
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
