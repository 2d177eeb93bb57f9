import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Http } from '../../src/http/policy.js';
import { lastDecisionPath } from '../../src/image-server/last-decision.js';
import { sealRecord } from '../../src/image-server/ledger.js';
import type { LedgerRecord } from '../../src/image-server/ledger-record.js';
import { type BranchHistory, readBranch } from '../../src/monitoring/read-branch.js';
import { http } from '../image-server/fixture.js';
import { freshImageDirectory } from '../sandbox/current.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { busyHistory, candidate, DAY, NOW, record, SETTINGS } from './fixture.js';
import { layOut } from './lay-out.js';

async function publish(history: Partial<BranchHistory>): Promise<ImageDirectory> {
  const directory = await freshImageDirectory();
  await layOut(directory.path, history);
  return directory;
}

function read(directory: ImageDirectory, by: Http = http): Promise<BranchHistory> {
  return readBranch({ branch: 'master', url: new URL(directory.url) }, { http: by, ...SETTINGS });
}

test('reads back what the pipeline left', async () => {
  const history = busyHistory('master', 20);
  const directory = await publish(history);
  expect(await read(directory)).toEqual({ ...history, url: directory.url });
});

test('an empty directory is no problem: nothing was promoted yet', async () => {
  const { records, problems, trusted, labelTag } = await read(await freshImageDirectory());
  expect({ records, problems, trusted, labelTag }).toEqual({
    records: [],
    problems: [],
    trusted: true,
    labelTag: undefined,
  });
});

test('a server that is down is a problem of each thing, and no error', async () => {
  const { port } = new URL((await freshImageDirectory()).url);
  const url = `http://127.0.0.2:${port}/nothing`;
  const history = await readBranch({ branch: 'master', url: new URL(url) }, { http, ...SETTINGS });
  expect(history.records).toBeUndefined();
  expect(history.problems).toHaveLength(4);
  expect(history.problems[0]).toContain(`GET ${url}/ledger/current-ceph/1.json: `);
});

describe('what is wrong in one place leaves the rest', () => {
  const history = busyHistory('master', 6);
  const last = history.records?.[0]?.n ?? 0;

  test('a last decision that is none', async () => {
    const directory = await publish(history);
    await writeFile(path.join(directory.path, lastDecisionPath(SETTINGS.label)), '{"version":2}');
    const { problems, records, lastDecision } = await read(directory);
    expect(problems).toEqual([expect.stringContaining('/ledger/current-ceph.json: ')]);
    expect([records?.length, lastDecision]).toEqual([last, undefined]);
  });

  const rewritten = () => {
    const record = history.records?.find(({ n }) => n === 4);
    return record === undefined ? '' : sealRecord({ ...record, reason: 'nothing happened' }, undefined);
  };
  test.each<[string, number, (directory: string) => Promise<void>, string, number[]]>([
    ['is missing', 3, (file) => rm(file), 'ledger record 4 not trusted: record 3 is missing', [6, 5]],
    [
      'hides the end',
      4,
      (file) => rm(file),
      'ledger record 4 not trusted: it is missing, and record 5 is there',
      [3, 2, 1],
    ],
    ['is not JSON', 6, (file) => writeFile(file, '{'), 'ledger record 6 not trusted: it is not JSON', []],
    [
      'was rewritten',
      4,
      (file) => writeFile(file, rewritten()),
      'ledger record 5 not trusted: its prev-sha256 is not that of record 4',
      [6],
    ],
  ])('a record that %s: those that are trusted are shown', async (_, n, spoil, problem, shown) => {
    const directory = await publish(history);
    await spoil(path.join(directory.path, `ledger/current-ceph/${n}.json`));
    const { problems, records, trusted } = await read(directory);
    expect(problems).toEqual([problem]);
    expect(records?.map((one) => one.n)).toEqual(shown);
    expect(trusted).toBe(false);
  });
});

describe('a long ledger', () => {
  const image = candidate('v6.0.7-old');
  const records: LedgerRecord[] = [];
  for (let n = 1; n <= 1010; n += 1) {
    records.unshift(
      record(records.slice(0, 1), image, NOW - 2000 * DAY + n * DAY, n === 1 ? {} : { kind: 'lift', reason: 'x' }),
    );
  }

  test('is read from its end, so many records at most, a few at a time', async () => {
    const directory = await publish({ records });
    let open = 0;
    let most = 0;
    let sent = 0;
    const counting: Http = {
      ...http,
      async sendForText(request, options) {
        sent += 1;
        open += 1;
        most = Math.max(most, open);
        try {
          return await http.sendForText(request, options);
        } finally {
          open -= 1;
        }
      },
    };
    const history = await read(directory, counting);
    expect(history.problems).toEqual([]);
    expect(history.records?.map(({ n }) => n)).toEqual(Array.from({ length: 1000 }, (_, index) => 1010 - index));
    expect(most).toBeLessThanOrEqual(8);
    expect(sent).toBeLessThan(1000 + 2 * Math.log2(1010) + 25);
  });
});
