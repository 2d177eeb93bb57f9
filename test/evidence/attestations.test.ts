import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Candidate } from '../../src/candidate/reference.js';
import type { Attestation } from '../../src/criteria/criteria-file.js';
import { attestationEvidence, wantAttestations } from '../../src/evidence/attestations.js';
import { BUNDLE_TYPE } from '../../src/proof/bundle.js';
import { pemPair, signerOf } from '../proof/fixture.js';
import { type MemoryRegistry, startMemoryRegistry } from '../registry/memory-registry.js';
import { client, closeAll, digest, repository, tag } from '../registry/support.js';

const TYPE = 'https://scanner.example/result/v1';
const KEY = pemPair('ec');
const OTHER = pemPair('ec');

let source: MemoryRegistry;
beforeEach(async () => {
  source = await startMemoryRegistry();
});
afterEach(async () => {
  await closeAll();
  source.stop();
});

/** An image at one path, and the same bytes at another one. */
function image(): Candidate {
  const own = source.image('ceph/ceph', 'v1');
  source.image('mirror/ceph', 'v1');
  return { repository: repository(`${source.host}/ceph/ceph`), tag: tag('v1'), digest: digest(own.digest) };
}

interface Attaching {
  readonly path?: string;
  readonly type?: string;
  readonly about?: Candidate['digest'];
  readonly by?: typeof KEY;
  /** The type by the annotation. */
  readonly noted?: string;
}

async function attach(to: Candidate, changes: Attaching = {}) {
  const { path = 'ceph/ceph', type = TYPE, about = to.digest, by = KEY, noted = type } = changes;
  const statement = {
    _type: 'https://in-toto.io/Statement/v0.1',
    subject: [{ name: 'any', digest: { sha256: about.slice('sha256:'.length) } }],
    predicateType: type,
    predicate: { clean: true },
  };
  await client()
    .repository(repository(`${source.host}/${path}`))
    .attach(to.digest, {
      artifactType: BUNDLE_TYPE,
      layer: await signerOf(by).sign(Buffer.from(JSON.stringify(statement))),
      annotations: { 'dev.sigstore.bundle.predicateType': noted },
    });
}

async function look(candidate: Candidate, changes: Partial<Attestation> = {}) {
  const wanted = { name: 'scan', type: TYPE, by: { keys: KEY.open }, repositories: [], ...changes };
  const attestations = await wantAttestations([wanted], async () => '{}');
  const { results, remarks } = await attestationEvidence(attestations, candidate, client(), 1_800_000_000);
  return results[0] ?? remarks.get('scan');
}

test('a statement by the key is a pass, and keeps what was verified', async () => {
  const candidate = image();
  await attach(candidate);
  expect(await look(candidate)).toEqual({
    job: 'scan',
    outcome: 'success',
    candidate: { tag: 'v1', digest: candidate.digest },
    timestamp: 1_800_000_000,
    source: 'attestation',
    attestation: {
      type: TYPE,
      by: expect.stringMatching(/^key [0-9a-f]{16}$/),
      repository: `${source.host}/ceph/ceph`,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    },
  });
});

test('a statement in another repository counts if the criteria name that', async () => {
  const candidate = image();
  await attach(candidate, { path: 'mirror/ceph' });
  expect(await look(candidate)).toMatch(/no valid statement at .*\/ceph\/ceph: there is none/);
  expect(await look(candidate, { repositories: [repository(`${source.host}/mirror/ceph`)] })).toMatchObject({
    attestation: { repository: `${source.host}/mirror/ceph` },
  });
});

describe('one that does not fit does not count', () => {
  test.each<[string, Parameters<typeof attach>[1], RegExp]>([
    ['by another key', { by: OTHER }, /it is not signed by key/],
    ['about another image', { about: digest(`sha256:${'f'.repeat(64)}`) }, /it is about another image/],
    ['of another type', { type: 'https://other.example', noted: TYPE }, /it is of type https:\/\/other.example/],
    ['that says it is of another type', { type: 'https://other.example' }, /there is none/],
  ])('%s', async (_, changes, said) => {
    const candidate = image();
    await attach(candidate, changes);
    expect(await look(candidate)).toMatch(said);
  });

  test('but a bad one does not hide a good one', async () => {
    const candidate = image();
    await attach(candidate, { by: OTHER });
    await attach(candidate);
    expect(await look(candidate)).toMatchObject({ outcome: 'success' });
  });
});

test('a registry that fails is an error, not a missing statement', async () => {
  const candidate = image();
  source.answer = () => ({ status: 403, body: {} });
  await expect(look(candidate)).rejects.toMatchObject({ name: 'ServiceError' });
});

test.each([
  ['a key that is damaged', { keys: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----' }],
  ['a key of another kind', { keys: KEY.secret }],
])('%s is a mistake in the criteria', async (_, by) => {
  await expect(look(image(), { by })).rejects.toMatchObject({ hint: 'criteria' });
});
