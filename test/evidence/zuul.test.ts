import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { formatCandidate } from '../../src/candidate/reference.js';
import { zuulEvidence } from '../../src/evidence/zuul.js';
import { CANDIDATE, decide } from '../criteria/fixtures.js';
import { type Answered, startStandIn, stopStandIns } from '../dlrn/stand-in.js';
import { errorOf, http, silent } from '../dlrn/support.js';

/**
 * A stand-in for Zuul's `/api/tenant/{tenant}/builds`, which answers rows as zuul/web/__init__.py (14.3.0,
 * BuildConverter) makes them: Zuul itself would need ZooKeeper, a database and executors that run jobs.
 */
type Answer = (url: URL) => Answered;

async function zuul(answer: Answer): Promise<{ url: URL; asked: () => string[] }> {
  const { url, asked } = await startStandIn((request) => answer(request.url));
  return { url: new URL('/zuul/', url), asked: () => asked.map((one) => one.url.pathname + one.url.search) };
}

afterEach(stopStandIns);

const artifact = (reference: string, set?: string | null) => ({
  name: 'ceph',
  url: '',
  metadata: { type: 'ceph_candidate', reference, ...(set !== undefined && { 'set-digest': set }) },
});

function build(rest: object = {}) {
  return {
    _id: 1,
    uuid: '1',
    job_name: 'scenario001',
    result: 'SUCCESS',
    start_time: '2026-11-24T00:00:00',
    end_time: '2026-11-24T01:00:00',
    pipeline: 'periodic',
    voting: true,
    log_url: 'https://logs.example/1/',
    artifacts: [
      { name: 'Zuul Manifest', url: 'https://logs.example/1/zuul-manifest.json', metadata: { type: 'zuul_manifest' } },
      { name: 'docs', url: 'https://docs.example' },
      artifact(formatCandidate(CANDIDATE)),
    ],
    ...rest,
  };
}

async function read(builds: readonly object[], pipelines: string[] = ['periodic']) {
  return (await readAll(builds, pipelines)).results;
}

async function readAll(builds: readonly object[], pipelines: string[]) {
  const { url } = await zuul((asked) => ({
    body: asked.searchParams.get('skip') === '0' ? JSON.stringify(builds) : '[]',
  }));
  return zuulEvidence({ http: http(), url, tenant: 'rdoproject.org', jobs: ['scenario001'], pipelines, log: silent });
}

test.each([
  [CANDIDATE.digest, { 'set-digest': CANDIDATE.digest }],
  ['', {}],
  [null, {}],
])('a build that names the set %j', async (named, expected) => {
  const [result] = await read([build({ artifacts: [artifact(formatCandidate(CANDIDATE), named)] })]);
  expect(result).toMatchObject({ candidate: { digest: CANDIDATE.digest }, ...expected });
  expect('set-digest' in (result ?? {})).toBe('set-digest' in expected);
});

test('a build, with its image, time and log', async () => {
  expect(await read([build()])).toEqual([
    {
      job: 'scenario001',
      outcome: 'success',
      candidate: { tag: CANDIDATE.tag, digest: CANDIDATE.digest },
      timestamp: Date.UTC(2026, 10, 24, 1) / 1000,
      url: 'https://logs.example/1/',
      source: 'zuul',
    },
  ]);
});

test.each([
  ['SUCCESS', 'success'],
  ['FAILURE', 'failure'],
  ['POST_FAILURE', 'failure'],
  ['TIMED_OUT', 'failure'],
  ['DISK_FULL', 'failure'],
  [null, 'running'],
  ['RETRY', undefined],
  ['RETRY_LIMIT', undefined],
  ['NODE_FAILURE', undefined],
  ['ABORTED', undefined],
  ['CANCELED', undefined],
  ['SKIPPED', undefined],
  ['success', undefined],
])('result %j is %s', async (result, outcome) => {
  const evidence = await read([build({ result, ...(result === null ? { end_time: null } : {}) })]);
  expect(evidence.map((one) => one.outcome)).toEqual(outcome === undefined ? [] : [outcome]);
});

test.each<[string, object]>([
  ['of another job', { job_name: 'scenario001-foo' }],
  ['that never began', { start_time: null, end_time: null }],
  ['of another pipeline', { pipeline: 'check' }],
  ['of a pipeline whose name begins with the right one', { pipeline: 'periodic-foo' }],
  ['without a pipeline', { pipeline: null }],
  ['that runs and does not say what it tests', { result: null, end_time: null, artifacts: [] }],
])('a build %s says nothing', async (_, rest) => {
  expect(await read([build(rest)])).toEqual([]);
});

const failedOfPipeline = (pipeline: string) => build({ pipeline, result: 'FAILURE', end_time: '2026-11-24T01:30:00' });

test('a failure in another pipeline blocks nothing', async () => {
  const evidence = await read([failedOfPipeline('check'), build()]);
  expect(decide('current-ceph: [scenario001]', evidence).verdict).toBe('promote');
});

describe.each<[string, object]>([
  ['without artifacts', { artifacts: [] }],
  ['with null for artifacts', { artifacts: null }],
  ['that was only handed the image', { artifacts: [], variables: { docker_ceph_tag: CANDIDATE.tag } }],
  ['with a reference that is none', { artifacts: [artifact('v6.0.10')] }],
  ['with one reference that cannot be read', { artifacts: [artifact(formatCandidate(CANDIDATE)), artifact('')] }],
  ['with its reference in capitals', { artifacts: [artifact(formatCandidate(CANDIDATE).toUpperCase())] }],
  ['with an artifact of no type', { artifacts: [{ metadata: { reference: formatCandidate(CANDIDATE) } }] }],
  ['with a set that is none', { artifacts: [artifact(formatCandidate(CANDIDATE), 'all of it')] }],
  [
    'with two sets',
    { artifacts: [artifact(formatCandidate(CANDIDATE)), artifact(formatCandidate(CANDIDATE), CANDIDATE.digest)] },
  ],
  ['with another type of artifact', { artifacts: [{ ...artifact(''), metadata: { type: 'x', reference: 'y' } }] }],
  [
    'that names two images',
    { artifacts: [artifact(formatCandidate(CANDIDATE)), artifact(`quay.io/a:v1@sha256:${'1'.repeat(64)}`)] },
  ],
])('a build %s', (_, rest) => {
  const verdict = async (...builds: readonly object[]) =>
    decide('current-ceph: [scenario001]', await read(builds)).verdict;
  const before = build({ end_time: '2026-11-24T00:30:00' });
  const after = build({ end_time: '2026-11-24T01:30:00' });

  test('does not pass', async () => {
    expect(await verdict(build(rest))).toBe('wait');
  });

  test.each(['FAILURE', 'POST_FAILURE', 'TIMED_OUT', 'DISK_FULL'])(
    'blocks its job by %s until a newer build passes with proof',
    async (result) => {
      expect(await verdict(before, build({ ...rest, result }))).toBe('wait');
      expect(await verdict(build({ ...rest, result }), build())).toBe('wait');
      expect(await verdict(before, build({ ...rest, result }), after)).toBe('promote');
    },
  );

  test('blocks nothing if its test never ended', async () => {
    expect(await verdict(before, build({ ...rest, result: 'NODE_FAILURE' }))).toBe('promote');
  });
});

test('a failed build without a time blocks its job for good, and the reason names it', async () => {
  const failed = build({ result: 'FAILURE', start_time: null, end_time: null, log_url: 'https://logs.example/7/' });
  const record = decide('current-ceph: [scenario001]', await read([failed, build()]));
  expect(record.verdict).toBe('wait');
  expect(record.jobs[0]).toMatchObject({ url: 'https://logs.example/7/', 'way-out': expect.any(String) });
});

test('a build may name its image twice', async () => {
  const twice = artifact(formatCandidate(CANDIDATE));
  expect(await read([build({ artifacts: [twice, twice] })])).toHaveLength(1);
});

test('all pages of all jobs are read, and the verdict follows', async () => {
  const { url, asked } = await zuul(({ searchParams }) => {
    const skip = Number(searchParams.get('skip'));
    const job_name = searchParams.get('job_name');
    const page = Array.from({ length: skip < 200 ? 100 : 1 }, (_, n) =>
      build({ job_name, log_url: `https://logs.example/${skip + n}/`, result: skip === 200 ? 'SUCCESS' : 'ABORTED' }),
    );
    return { body: JSON.stringify(page) };
  });
  const jobs = ['scenario001', 'scenario004'];
  const parts = { http: http(), url, tenant: 'a/b', jobs, pipelines: ['periodic'], log: silent };
  const { results: evidence } = await zuulEvidence(parts);
  expect(asked().sort()).toEqual(
    jobs.flatMap((job) =>
      [0, 100, 200].map((n) => `/zuul/api/tenant/a%2Fb/builds?job_name=${job}&limit=100&skip=${n}`),
    ),
  );
  expect(decide('current-ceph: [scenario001, scenario004]', evidence).verdict).toBe('promote');
});

test.each([
  [[], 'Zuul has no build of a job with this name'],
  [[build({ job_name: 'scenario0011' })], 'Zuul has no build of a job with this name'],
  [
    [build({ pipeline: 'check' }), build({ pipeline: 'gate' }), build({ pipeline: 'check' })],
    'no build in periodic or weekly; Zuul has builds in check, gate',
  ],
  [
    ['check', 'gate', 'post', 'tag', 'release'].map((pipeline) => build({ pipeline })),
    'no build in periodic or weekly; Zuul has builds in check, gate, post, and more',
  ],
  [[build({ pipeline: 'check' }), build()], undefined],
])('a job without a build that can count (%#)', async (builds, remark) => {
  const { remarks } = await readAll(builds, ['periodic', 'weekly']);
  expect(remarks.get('scenario001')).toBe(remark);
});

test('reading ends after a thousand builds of a job', async () => {
  const page = JSON.stringify(Array.from({ length: 100 }, () => build({ result: 'ABORTED' })));
  const { url, asked } = await zuul(() => ({ body: page }));
  await zuulEvidence({ http: http(), url, tenant: 't', jobs: ['scenario001'], pipelines: ['periodic'], log: silent });
  expect(asked()).toHaveLength(10);
});

describe('a Zuul that fails is an error that says so', () => {
  test.each<[string, ReturnType<Answer>, string, string]>([
    ['no such tenant', { status: 404, body: '{}' }, 'not-found', 'there is no such tenant'],
    ['HTML', { body: '<html>' }, 'bad-answer', "this is not Zuul's API"],
    ['half a JSON', { body: '[{"job_name": "scen' }, 'bad-answer', 'not JSON'],
    [
      'a time that is none',
      { body: JSON.stringify([build({ end_time: 'yesterday' })]) },
      'bad-answer',
      'is not a time',
    ],
    ['500', { status: 500, body: '<p>broken</p>' }, 'server-error', 'answered 500'],
    ['401', { status: 401, body: '' }, 'unauthorized', 'answered 401'],
  ])('%s', async (_, answer, kind, message) => {
    const { url } = await zuul(() => answer);
    const parts = { http: http(), url, tenant: 't', jobs: ['scenario001'], pipelines: ['periodic'], log: silent };
    const error = await errorOf(zuulEvidence(parts));
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(message);
  });
});

describe('a Zuul that is down or slow is an error that says so, and no build counts', () => {
  const parts = (url: URL, policy: Parameters<typeof http>[0] = {}) => ({
    http: http(policy),
    url,
    tenant: 't',
    jobs: ['scenario001', 'scenario004'],
    pipelines: ['periodic'],
    log: silent,
  });

  test('nobody listens', async () => {
    const { url } = await zuul(() => ({ body: '[]' }));
    stopStandIns();
    expect((await errorOf(zuulEvidence(parts(url)))).kind).toBe('unreachable');
  });

  test('it never answers', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const slow = parts(new URL(`http://127.0.0.1:${port}`), { answerMs: 50, attempts: 2 });
    expect((await errorOf(zuulEvidence(slow))).kind).toBe('timeout');
    server.closeAllConnections();
    server.close();
  });

  test('it restarts while it is read: the page is asked for again', async () => {
    let broken = 2;
    const { url } = await zuul(() => {
      broken -= 1;
      return broken >= 0 ? { status: 503, body: '' } : { body: JSON.stringify([build()]) };
    });
    expect((await zuulEvidence({ ...parts(url), jobs: ['scenario001'] })).results).toHaveLength(1);
  });

  test('it fails on the second page: the first page alone is not used', async () => {
    const page = JSON.stringify(Array.from({ length: 100 }, () => build()));
    const { url } = await zuul(({ searchParams }) =>
      searchParams.get('skip') === '0' ? { body: page } : { status: 500, body: '' },
    );
    expect((await errorOf(zuulEvidence(parts(url)))).kind).toBe('server-error');
  });
});
