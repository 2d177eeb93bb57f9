import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import type { Candidate } from '../../src/candidate/reference.js';
import { formatRecord } from '../../src/ledger/codec.js';
import { labelSchema } from '../../src/ledger/names.js';
import { BUNDLE_TYPE, keysAuthority } from '../../src/proof/bundle.js';
import {
  attachStatements,
  findSignatures,
  missingStatements,
  type Signed,
  verifySigned,
} from '../../src/proof/signatures.js';
import { type Claim, formatStatement, PROMOTION_TYPE, SUMMARY_TYPE } from '../../src/proof/statement.js';
import { CURRENT, recordOf } from '../ledger/fixture.js';
import { type MemoryRegistry, startMemoryRegistry } from '../registry/memory-registry.js';
import { client, closeAll, digest, repository, tag } from '../registry/support.js';
import { claimOf, pemPair, signerOf, VERIFIER } from './fixture.js';

const PATH = 'tripleo/daemon';
const KEY = pemPair('ed25519');
const OTHER = pemPair('ec');
const SIGNING = { signer: signerOf(KEY), verifier: VERIFIER };

let target: MemoryRegistry;
beforeEach(async () => {
  target = await startMemoryRegistry();
});
afterEach(async () => {
  await closeAll();
  target.stop();
});

const places = () => repository(`${target.host}/${PATH}`);

/** Records of these images, promoted to the registry in memory. */
function promote(names: readonly string[], changes: Parameters<typeof recordOf>[3] = {}): Buffer[] {
  const records: Buffer[] = [];
  for (const name of names) {
    const candidate: Candidate = {
      repository: repository('quay.io/ceph/daemon'),
      tag: tag(name),
      digest: digest(target.image(PATH, name).digest),
    };
    const targets = [{ repository: places(), tag: candidate.tag, digest: candidate.digest, source: candidate }];
    const own = { ...changes, candidate, targets };
    const record = recordOf(name, records.length + 1, records.at(-1), own);
    const report = record.kind === 'earned' ? { decision: { ...record.decision } } : {};
    records.push(formatRecord(Object.assign(record, report), undefined));
  }
  return records;
}

const claim = (records: readonly Buffer[]): Claim => claimOf(records, places());
const attach = (records: readonly Buffer[], signing = SIGNING) =>
  attachStatements(client(), claim(records), records.at(-1) as Buffer, signing);

/** The types of the statements on an image, as its referrers' annotations say. */
async function typesAt(records: readonly Buffer[]): Promise<(string | undefined)[]> {
  const attached = await client()
    .repository(places())
    .listAttached(claim(records).digest, 'application/vnd.dev.sigstore.bundle.v0.3+json');
  if (attached === 'unsupported') throw new Error('no referrers');
  return attached.map(({ annotations }) => annotations['dev.sigstore.bundle.predicateType']).sort();
}

const BOTH = [PROMOTION_TYPE, SUMMARY_TYPE];

function signed(records: readonly Buffer[], moving = claim(records).digest): Signed {
  const { label, position, target: where, digest: own } = claim(records);
  const ledger = { read: async (n: number) => records[n - 1] };
  return { label, ledger, end: { ...position, supersedes: [] }, target: where, digest: own, moving };
}

const verify = async (records: readonly Buffer[], moving?: Signed['moving'], key = KEY.open) => {
  const said = await verifySigned(client(), signed(records, moving), keysAuthority(key));
  return 'by' in said ? said.by : said.problem;
};

describe.each([
  ['with the referrers API', true],
  ['with referrers in a tag', false],
])('on a registry %s', (_, hasReferrers) => {
  beforeEach(() => {
    target.hasReferrers = hasReferrers;
  });

  test('both statements are attached, once', async () => {
    const records = promote(['v1']);
    await attach(records);
    await attach(records);
    expect(await typesAt(records)).toEqual(BOTH);
    expect(await verify(records)).toBe(SIGNING.signer.who);
  });

  test('a forced image has no summary', async () => {
    const records = promote(['v1'], { kind: 'forced' });
    await attach(records);
    expect(await typesAt(records)).toEqual([PROMOTION_TYPE]);
  });

  test('at whatever request a run is killed, after the next run there is one of each', async () => {
    const records = promote(['v1']);
    for (let steps = 1; ; steps += 1) {
      const path = `${PATH}-${steps}`;
      const own = promoteTo(path);
      let left = steps;
      target.answer = ({ method }) => {
        if (method === 'GET') return undefined;
        left -= 1;
        return left > 0 ? undefined : { status: 403, body: {} };
      };
      const first = await attachStatements(client(), own.claim, own.record, SIGNING).then(
        () => 'done',
        () => 'killed',
      );
      target.answer = () => undefined;
      await attachStatements(client(), own.claim, own.record, SIGNING);
      const attached = await client()
        .repository(own.claim.target)
        .listAttached(own.claim.digest, 'application/vnd.dev.sigstore.bundle.v0.3+json');
      expect([steps, attached]).toEqual([steps, [expect.anything(), expect.anything()]]);
      if (first === 'done') {
        expect(steps).toBeGreaterThan(6);
        return;
      }
    }

    function promoteTo(path: string) {
      const image = target.image(path, 'v1');
      const where = repository(`${target.host}/${path}`);
      const [before] = records;
      const old = recordOf('v1');
      const candidate = { ...old.candidate, digest: digest(image.digest) };
      const record = formatRecord(
        Object.assign(old, {
          candidate,
          targets: [{ repository: where, tag: candidate.tag, digest: candidate.digest, source: candidate }],
        }),
        undefined,
      );
      if (before === undefined) throw new Error('no record');
      return { claim: claimOf([record], where), record };
    }
  });
});

test('a registry that loses what is attached is noticed', async () => {
  const records = promote(['v1']);
  target.hasReferrers = true;
  await attach(records);
  for (const [key, { bytes }] of target.manifests) {
    if (bytes.includes('"subject"')) target.manifests.delete(key);
  }
  expect(await missingStatements(client(), claim(records), SIGNING)).toEqual(BOTH);
});

test('after a key was changed, the new one signs what is promoted once more', async () => {
  const records = promote(['v1']);
  await attach(records);
  await attach(records, { ...SIGNING, signer: signerOf(OTHER) });
  expect(await typesAt(records)).toEqual([PROMOTION_TYPE, PROMOTION_TYPE, SUMMARY_TYPE, SUMMARY_TYPE]);
  expect(await verify(records, undefined, OTHER.open)).toBe(signerOf(OTHER).who);
  expect(await verify(records)).toBe(SIGNING.signer.who);
});

describe('what is promoted is not accepted if', () => {
  test('nothing is attached', async () => {
    expect(await verify(promote(['v1']))).toMatch(
      /no valid statement that ledger record 1 promotes it: there is none$/,
    );
  });

  test('another key signed', async () => {
    const records = promote(['v1']);
    await attach(records, { ...SIGNING, signer: signerOf(OTHER) });
    expect(await verify(records)).toMatch(/the only one does not count: it is not signed by key/);
  });

  test('the statement is of an older record about the same image', async () => {
    const records = promote(['v1']);
    await attach(records);
    const later = [...records, formatRecord(recordOf('v1', 2, records[0], sameImage(records, 'hold')), undefined)];
    expect(await verify(later)).toMatch(/no valid statement that ledger record 2 promotes it/);
  });

  test('an older statement about it is attached again, without its age', async () => {
    const records = promote(['v1']);
    const layer = await SIGNING.signer.sign(
      formatStatement(claim(records), PROMOTION_TYPE, records[0] as Buffer, VERIFIER),
    );
    await client()
      .repository(places())
      .attach(claim(records).digest, { artifactType: BUNDLE_TYPE, layer, annotations: {} });
    expect(await verify(records)).toBe(SIGNING.signer.who);
    const later = [...records, formatRecord(recordOf('v1', 2, records[0], sameImage(records, 'hold')), undefined)];
    expect(await verify(later)).toMatch(
      /no valid statement that ledger record 2 promotes it: the only one does not count: it is about record 1/,
    );
  });

  test("the moving tag's image has a newer statement: the ledger was cut", async () => {
    const records = promote(['v1', 'v2']);
    await attach(records);
    const old = records.slice(0, 1);
    await attach(old);
    expect(await verify(old)).toBe(SIGNING.signer.who);
    expect(await verify(old, claim(records).digest)).toMatch(
      /proves record 2, but the newest record in the store is 1/,
    );
  });

  test.each<[string, (records: readonly Buffer[]) => Buffer | undefined, RegExp]>([
    [
      'has another record of that number',
      ([first]) => holdAfter(first, 'forged'),
      /proves a different record 2 than the/,
    ],
    ['lacks that record', () => undefined, /proves record 2, which the store lacks/],
  ])('an older statement was signed, and the ledger, cut and grown since, %s', async (_, replaced, problem) => {
    const [first] = promote(['v1']);
    if (first === undefined) throw new Error('no record');
    const second = holdAfter(first, 'cut');
    const third = holdAfter(second, 'grown');
    await attach([first]);
    await attach([first, second]);
    await attach([first, second, third]);
    expect(await verify([first, second, third])).toBe(SIGNING.signer.who);
    const known = signed([first, second, third]);
    const read = async (n: number) => (n === 2 ? replaced([first]) : first);
    const said = await verifySigned(client(), { ...known, ledger: { read } }, keysAuthority(KEY.open));
    expect(said).toEqual({ problem: expect.stringMatching(problem) });
    // A key that is not trusted stops nobody.
    const unknown = await verifySigned(client(), { ...known, ledger: { read } }, keysAuthority(OTHER.open));
    expect(unknown).toEqual({ problem: expect.stringMatching(/no valid statement that ledger record 3 promotes it/) });
  });

  test("the moving tag's image has a statement of another ledger", async () => {
    const [records, others] = [promote(['v1']), promote(['v2'])];
    await attach(records);
    await attach(others);
    expect(await verify(records, claim(others).digest)).toMatch(/proves record 1 of another ledger/);
  });

  test('a statement about another image was attached to it', async () => {
    const records = promote(['v1', 'v2']);
    const old = claim(records.slice(0, 1));
    const layer = await SIGNING.signer.sign(formatStatement(old, PROMOTION_TYPE, records[0] as Buffer, VERIFIER));
    await client().repository(places()).attach(claim(records).digest, {
      artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      layer,
      annotations: {},
    });
    expect(await verify(records)).toMatch(/does not count: it is about another image/);
  });
});

test('a bad statement next to a good one does no harm', async () => {
  const records = promote(['v1']);
  await client()
    .repository(places())
    .attach(claim(records).digest, {
      artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      layer: Buffer.from('{}'),
      annotations: { 'vnd.ceph-promotion.sha256': claim(records).position.sha256 },
    });
  await attach(records);
  expect(await verify(records)).toBe(SIGNING.signer.who);
});

test("prune removes with an image only the signatures of its label's ledgers", async () => {
  const records = promote(['v1']);
  await attach(records);
  await client()
    .repository(places())
    .attach(claim(records).digest, { artifactType: BUNDLE_TYPE, layer: Buffer.from('{}'), annotations: {} });
  const found = await findSignatures(client(), places(), claim(records).digest, CURRENT);
  expect(found).toHaveLength(2);
  const other = v.parse(labelSchema, 'tripleo-ceph');
  expect(await findSignatures(client(), places(), claim(records).digest, other)).toEqual([]);
});

/** A hold on something else, after a record of one image. */
function holdAfter(before: Buffer | undefined, reason: string): Buffer {
  if (before === undefined) throw new Error('no record');
  const { record } = claim([before]);
  return formatRecord(recordOf('v1', record.n + 1, before, { ...sameImage([before], 'hold'), reason }), undefined);
}

function sameImage(records: readonly Buffer[], kind: 'hold'): Parameters<typeof recordOf>[3] {
  const { candidate, targets } = claim(records).record;
  return { kind, candidate, targets, label: CURRENT };
}
