import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { ServiceError } from '../../src/base/errors.js';
import { imageSet } from '../../src/candidate/image-set.js';
import { type Repository, repositorySchema } from '../../src/candidate/reference.js';
import { type Label, labelSchema } from '../../src/ledger/names.js';
import { companionKeys, imageOf } from '../../src/store/candidate-file.js';
import { readCandidate } from '../../src/store/consume.js';
import type { StoreReader } from '../../src/store/reader.js';
import { chainOf, image, SOURCE, tag } from '../ledger/fixture.js';
import { candidateFile } from './fixture.js';

const label = (name: string): Label => v.parse(labelSchema, name);
const TESTING = label('ceph-ci-testing');
const CURRENT = label('current-ceph');
const repository = (name: string): Repository => v.parse(repositorySchema, name);

/** A store with one tag under each label; `evil` is the image of its candidate file. */
function storeWith({ ledger = [], evil = false }: { ledger?: readonly Buffer[]; evil?: boolean } = {}): StoreReader {
  const file = candidateFile('v2', evil ? 'evil' : 'v2');
  const other = { ...file, reference: file.reference.replace('quay.io/ceph/', 'quay.io/evil/') };
  return {
    where: 'https://images.example/master',
    readLabel: async () => tag('v2'),
    readCandidateFile: async () => (evil ? other : file),
    readRecord: async (_, n) => ledger[n - 1],
    listRecords: async () => undefined,
    readLastDecision: async () => undefined,
  };
}

const read = (store: StoreReader, name: Label, images: readonly Repository[] = [], unpinned?: Repository) =>
  readCandidate({ store, label: name, images, unpinnedRepository: unpinned });

async function failure(work: Promise<unknown>) {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const { kind, message, hint } = error;
    return { kind, message, hint };
  }
}

describe('a promoted label', () => {
  const ledger = chainOf([['v1'], ['v2']]);

  test('is read from its ledger, whatever the candidate file says', async () => {
    const found = { ...image('v2'), companions: [], tagsRead: 0 };
    expect(await read(storeWith({ ledger, evil: true }), CURRENT)).toEqual(found);
    expect(await read(storeWith({ ledger }), CURRENT)).toEqual(found);
  });

  test('is read from its ledger, whatever the link says', async () => {
    const store: StoreReader = { ...storeWith({ ledger }), readLabel: async () => tag('v9') };
    expect(await read(store, CURRENT)).toMatchObject({ tag: 'v2' });
  });

  test('without a ledger has no digest that counts', async () => {
    expect(await failure(read(storeWith({ evil: true }), CURRENT))).toEqual({
      kind: 'not-found',
      message: 'https://images.example/master: current-ceph has no ledger, so the digest of v2 is not known',
      hint: 'allow-unpinned',
    });
    expect(await read(storeWith(), CURRENT, [], SOURCE)).toEqual({
      repository: SOURCE,
      tag: 'v2',
      digest: undefined,
      companions: [],
      tagsRead: 0,
    });
  });

  test.each<[string, readonly (Buffer | undefined)[]]>([
    ['is no ledger', [Buffer.from('{}')]],
    ['has a hole', [ledger[0], undefined, ledger[1]]],
    ['begins in the middle', [ledger[1]]],
  ])('whose ledger %s is an error', async (_, broken) => {
    const store: StoreReader = { ...storeWith(), readRecord: async (_label, n) => broken[n - 1] };
    expect(await failure(read(store, CURRENT, [], SOURCE))).toMatchObject({ kind: 'bad-answer' });
  });
});

describe('a candidate label', () => {
  test('is read from the candidate file, and never from a ledger', async () => {
    const store = storeWith({ ledger: chainOf([['v1']]) });
    expect(await read(store, TESTING)).toMatchObject({ tag: 'v2', tagsRead: 606 });
  });

  test('names the companions of its set', async () => {
    const set = imageSet(imageOf(candidateFile('v2')), [image('9.4.7')]);
    const file = { ...candidateFile('v2'), ...companionKeys(set) };
    const found = await read({ ...storeWith(), readCandidateFile: async () => file }, TESTING);
    expect(found).toEqual({ ...set, tagsRead: 606 });
  });

  test('that does not exist is undefined', async () => {
    const store: StoreReader = { ...storeWith(), readLabel: async () => undefined };
    expect(await read(store, TESTING)).toBeUndefined();
    expect(await read(store, CURRENT)).toBeUndefined();
  });
});

describe('the repositories that are accepted', () => {
  test.each([
    [[], true],
    [['quay.io/evil/daemon'], true],
    [['quay.io/ceph/daemon', 'quay.io/evil/daemon'], true],
    [['QUAY.IO:443/evil/daemon'], true],
    [['quay.io/ceph/daemon'], false],
    [['quay.io/evil/daemon2'], false],
  ])('%j', async (names, isAccepted) => {
    const found = await failure(read(storeWith({ evil: true }), TESTING, names.map(repository)));
    if (isAccepted) expect(found).toMatchObject({ tag: 'v2' });
    else expect(found).toMatchObject({ kind: 'forbidden', hint: 'image' });
  });

  test('apply to a tag without a digest too', async () => {
    const store: StoreReader = { ...storeWith(), readCandidateFile: async () => undefined };
    const images = [repository('quay.io/ceph/ceph')];
    expect(await failure(read(store, TESTING, images, SOURCE))).toMatchObject({ kind: 'forbidden' });
  });
});
