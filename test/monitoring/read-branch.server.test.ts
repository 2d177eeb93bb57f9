import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { ServiceError } from '../../src/base/errors.js';
import type { Http } from '../../src/http/policy.js';
import { formatRecord, sha256 } from '../../src/ledger/codec.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { type BranchHistory, readBranch } from '../../src/monitoring/read-branch.js';
import { httpReader } from '../../src/store/http-reader.js';
import { lastDecisionPath } from '../../src/store/last-decision.js';
import { freshImageDirectory } from '../sandbox/current.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { failure, http } from '../store/fixture.js';
import { busyHistory, candidate, DAY, emptyHistory, jobsOf, NOW, record, result, SETTINGS } from './fixture.js';
import { layOut, overHttp, overSftp } from './lay-out.js';

async function publish(history: Partial<BranchHistory>): Promise<ImageDirectory> {
  const directory = await freshImageDirectory();
  await layOut(directory.path, history);
  return directory;
}

test.each([overHttp, overSftp])('reads back what the pipeline left: %o', async (open) => {
  const history = busyHistory('master', 20);
  const branch = open(await publish(history));
  expect(await readBranch(branch, SETTINGS)).toEqual({ ...history, url: branch.url });
});

test.each([overHttp, overSftp])(
  'an empty directory is not a problem, because nothing was promoted yet: %o',
  async (open) => {
    const branch = open(await freshImageDirectory());
    expect(await readBranch(branch, SETTINGS)).toEqual(emptyHistory('master', { url: branch.url }));
  },
);

test.each([overHttp, overSftp])("a tag of RDO's, without a candidate file: %o", async (open) => {
  const { tag } = candidate('v6.0.7-rdo');
  const directory = await publish({ labelTag: tag, candidateTag: tag });
  await writeFile(path.join(directory.path, tag), tag);
  const branch = open(directory);
  expect(await readBranch(branch, SETTINGS)).toEqual(
    emptyHistory('master', { url: branch.url, labelTag: tag, candidateTag: tag }),
  );
});

test('a web server that is down is one problem, not an error', async () => {
  const { port } = new URL((await freshImageDirectory()).url);
  const url = `http://127.0.0.2:${port}/nothing`;
  const { records, failures } = await readBranch(overHttp({ url }), SETTINGS);
  expect(records).toEqual([]);
  expect(failures).toEqual([
    { source: 'image server', why: expect.stringContaining(`GET ${url}/ledger/current-ceph/1.json: `) },
  ]);
});

test('an SFTP server that cannot be opened is one problem, not an error', async () => {
  const directory = await freshImageDirectory();
  const server = directory.server.replace(/[^/]*$/, 'nothing');
  const { records, failures } = await readBranch(overSftp({ server }), SETTINGS);
  expect(records).toEqual([]);
  expect(failures).toEqual([{ source: 'image server', why: expect.stringContaining(`${server}: no such directory`) }]);
});

test('a mistake of the user is an error', async () => {
  const branch = overSftp(await freshImageDirectory(), { knownHosts: '' });
  expect(await failure(readBranch(branch, SETTINGS))).toMatchObject({ kind: 'UserError' });
});

describe('votes', () => {
  const history = busyHistory('master', 2);
  const jobs = jobsOf('master');
  const vote = result(jobs[0] ?? '', candidate('v6.0.1-superseded'), 'failure', NOW - DAY);

  test('are read for the jobs of the newest criteria', async () => {
    const asked: (readonly string[])[] = [];
    const votes = async (jobs: readonly string[]) => {
      asked.push(jobs);
      return [vote];
    };
    const branch = { ...overHttp(await publish(history)), dlrn: { url: 'https://dlrn.example/api', votes } };
    expect(await readBranch(branch, SETTINGS)).toMatchObject({ dlrn: 'https://dlrn.example/api', votes: [vote] });
    expect(asked).toEqual([jobs]);
    // The jobs are not known before the first decision.
    await readBranch({ ...branch, ...overHttp(await freshImageDirectory()), dlrn: branch.dlrn }, SETTINGS);
    expect(asked).toHaveLength(1);
  });

  test('that cannot be read do not hide the rest', async () => {
    const votes = async () => {
      throw new ServiceError('timeout', 'GET https://dlrn.example/api: no answer');
    };
    const branch = { ...overHttp(await publish(history)), dlrn: { url: 'https://dlrn.example/api', votes } };
    const { failures, records } = await readBranch(branch, SETTINGS);
    expect(failures).toEqual([{ source: 'DLRN', why: 'GET https://dlrn.example/api: no answer' }]);
    expect(records).toHaveLength(2);
  });
});

describe.each([overHttp, overSftp])('one broken file does not hide the rest: %o', (open) => {
  const history = busyHistory('master', 6);
  const last = history.records?.[0]?.n ?? 0;

  test('a last decision that cannot be parsed', async () => {
    const directory = await publish(history);
    await writeFile(path.join(directory.path, lastDecisionPath(SETTINGS.label)), '{"version":2}');
    const { failures, records, lastDecision } = await readBranch(open(directory), SETTINGS);
    expect(failures).toEqual([
      { source: 'last decision', why: expect.stringContaining('/ledger/current-ceph.json: ') },
    ]);
    expect([records?.length, lastDecision]).toEqual([last, undefined]);
  });

  const rewritten = () => {
    const record = history.records?.find(({ n }) => n === 4);
    return record === undefined ? '' : formatRecord({ ...record, reason: 'nothing happened' }, undefined);
  };
  test.each<[string, number, (directory: string) => Promise<void>, RegExp, number[]]>([
    ['is missing', 3, (file) => rm(file), /record [34] not trusted: .* missing/, [6, 5]],
    ['hides the end', 4, (file) => rm(file), /record 4 not trusted: it is missing, and record [56] is there/, []],
    ['is not JSON', 6, (file) => writeFile(file, '{'), /^ledger record 6 not trusted: it is not JSON$/, []],
    [
      'was rewritten',
      4,
      (file) => writeFile(file, rewritten()),
      /^ledger record 5 not trusted: its prev-sha256 is not the hash of record 4$/,
      [6],
    ],
  ])('a record that %s: the trusted records are shown', async (_, n, spoil, problem, shown) => {
    const directory = await publish(history);
    await spoil(path.join(directory.path, `ledger/current-ceph/${n}.json`));
    const { failures, records } = await readBranch(open(directory), SETTINGS);
    expect(failures).toEqual([{ source: 'ledger', why: expect.stringMatching(problem) }]);
    // A store that lists its records shows a hole before any record is read.
    const seesHole = open === overSftp && problem.source.includes('missing');
    expect(records?.map((one) => one.n)).toEqual(seesHole ? [] : shown);
  });
});

describe('seals, without their key', () => {
  const first = record([], candidate('v6.0.7-first'), NOW - 2 * DAY);
  const sealedFirst = formatRecord(first, 'a key of the pipeline');
  const second = record([first], candidate('v6.0.8-second'), NOW - DAY, {
    kind: 'rollback',
    reason: 'x',
    'prev-sha256': sha256(sealedFirst),
  });
  test.each([
    ['sealed', 'a key of the pipeline', []],
    [
      'not sealed, after a record that is',
      undefined,
      ['ledger record 2 not trusted: it has no seal, and record 1 before it has one'],
    ],
  ])('a head that is %s', async (_, key, problems) => {
    const directory = await publish({ records: [] });
    const ledger = path.join(directory.path, 'ledger', SETTINGS.label);
    await writeFile(path.join(ledger, '1.json'), sealedFirst);
    await writeFile(path.join(ledger, '2.json'), formatRecord(second, key));
    const { failures } = await readBranch(overHttp(directory), SETTINGS);
    expect(failures.map(({ why }) => why)).toEqual(problems);
  });
});

/** A stand-in: no real server is set up to answer every path with 200. */
describe('a web server that answers 200 to every path gives an error that says so', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
  });
  const record1 = formatRecord(record([], candidate('v6.0.7-old'), NOW - DAY), undefined).toString();
  test.each([
    ['its home page', '<!doctype html><title>Welcome</title>', 'ledger record'],
    ['one record', record1, 'no ledger has so many records: the server answers for any file'],
    ['a tag', 'v6.0.7-old', 'ledger record'],
  ])('with %s', async (_, body, why) => {
    let asked = 0;
    server = createServer((_, response) => {
      asked += 1;
      response.end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = v.parse(v.object({ port: v.number() }), server.address());
    const { failures, records } = await readBranch(overHttp({ url: `http://127.0.0.1:${port}/` }), SETTINGS);
    expect(records).toEqual([]);
    expect(failures.map((failure) => failure.why).join()).toContain(why);
    expect(asked).toBeLessThan(100);
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

  test('is read from its end, a limited number of records, a few at a time', async () => {
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
    const branch = overHttp(directory);
    const history = await readBranch(
      { ...branch, withStore: (read) => read(httpReader(counting, new URL(directory.url))) },
      SETTINGS,
    );
    expect(history.failures).toEqual([]);
    expect(history.records?.map(({ n }) => n)).toEqual(Array.from({ length: 1000 }, (_, index) => 1010 - index));
    expect(most).toBeLessThanOrEqual(16);
    expect(sent).toBeLessThan(1000 + 2 * Math.log2(1010) + 25);
  });
});
