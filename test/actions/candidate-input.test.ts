import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { type CandidateSettings, readCandidateInput } from '../../src/actions/shared/candidate-input.js';
import type { Log } from '../../src/base/log.js';
import { imageSet } from '../../src/candidate/image-set.js';
import { type Repository, repositorySchema } from '../../src/candidate/reference.js';
import { labelSchema } from '../../src/ledger/names.js';
import type { Request } from '../../src/rules/request.js';
import type { StoreReader } from '../../src/store/reader.js';
import { image, tag } from '../ledger/fixture.js';
import { candidateFile } from '../store/fixture.js';

/** Which images are accepted as a candidate, no matter which input names it. */

const repository = (name: string): Repository => v.parse(repositorySchema, name);
const OTHER = 'quay.io/evil/daemon';

/** A store at `url` whose candidate is from another repository, which anyone who can write there can do. */
const store: StoreReader = {
  where: 'https://images.example/master',
  readLabel: async () => tag('v2'),
  readCandidateFile: async () => {
    const file = candidateFile('v2');
    return { ...file, reference: file.reference.replace('quay.io/ceph/daemon', OTHER) };
  },
  readRecord: async () => undefined,
  listRecords: async () => [],
  readLastDecision: async () => undefined,
};

const AT_URL: CandidateSettings = {
  reference: undefined,
  set: undefined,
  withStoreAtUrl: (work) => work(store),
  label: v.parse(labelSchema, 'ceph-ci-testing'),
  image: [],
};
const other = { ...image('v2'), repository: repository(OTHER) };
const AS_REFERENCE: CandidateSettings = { ...AT_URL, withStoreAtUrl: undefined, reference: other };
const AS_SET: CandidateSettings = { ...AS_REFERENCE, reference: undefined, set: imageSet(other, []) };

function read(settings: CandidateSettings, accepted: readonly string[], request: Request, dryRun = false) {
  const warnings: string[] = [];
  const log: Log = { debug() {}, info() {}, warning: (text) => warnings.push(text), group: (_, work) => work() };
  const image = accepted.map(repository);
  const found = readCandidateInput({ ...settings, image }, { request, dryRun }, log);
  return found.then(
    (candidate) => ({ candidate, warnings }),
    (error: Error) => error.message,
  );
}

const EVALUATE: Request = { kind: 'evaluate' };
const FORCE: Request = { kind: 'force', tag: tag('v2'), reason: 'must', skipJobs: [] };

describe.each<[string, CandidateSettings, Request]>([
  ['url', AT_URL, EVALUATE],
  ['reference', AS_REFERENCE, EVALUATE],
  ['reference', AS_REFERENCE, FORCE],
  ['set', AS_SET, EVALUATE],
])('an image that %s names', (input, settings, request) => {
  const refused = (names: string) => `input ${input}: an image of ${OTHER}, but input image accepts only ${names}`;

  test(`is refused if its repository is not in image (${request.kind})`, async () => {
    expect(await read(settings, ['quay.io/ceph/daemon'], request)).toBe(refused('quay.io/ceph/daemon'));
    expect(await read(settings, [`${OTHER}2`, 'quay.io/evil'], request)).toBe(refused(`${OTHER}2, quay.io/evil`));
    expect(await read(settings, ['quay.example/evil/daemon'], request)).toBe(refused('quay.example/evil/daemon'));
    expect(await read(settings, ['quay.io:8443/evil/daemon'], request)).toBe(refused('quay.io:8443/evil/daemon'));
  });

  test(`is accepted under any name of its repository (${request.kind})`, async () => {
    for (const name of [OTHER, `QUAY.IO:443/evil/daemon`]) {
      expect(await read(settings, [name], request)).toMatchObject({ candidate: { tag: 'v2' }, warnings: [] });
    }
  });
});

describe('without image', () => {
  test('nothing at url is accepted, because anyone who publishes candidates can write there', async () => {
    expect(await read(AT_URL, [], EVALUATE)).toMatch(/^input image: required with url/);
  });

  test('a dry run only warns', async () => {
    expect(await read(AT_URL, [], EVALUATE, true)).toMatchObject({
      candidate: { tag: 'v2' },
      warnings: [expect.stringContaining('accepted from any repository')],
    });
  });

  test('a reference is accepted, because whoever starts the run names it', async () => {
    expect(await read(AS_REFERENCE, [], EVALUATE)).toMatchObject({ candidate: { tag: 'v2' } });
  });
});

test('if a person names another image, no candidate is needed and nothing at url is read', async () => {
  const withStoreAtUrl = () => Promise.reject(new Error('read'));
  expect(await read({ ...AT_URL, withStoreAtUrl }, ['quay.io/ceph/daemon'], FORCE)).toEqual({
    candidate: undefined,
    warnings: [],
  });
});
