import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { attestationEvidence, wantAttestations } from '../../src/evidence/attestations.js';
import { formatRecord } from '../../src/ledger/codec.js';
import { RECORD_TYPE } from '../../src/proof/record-proof.js';
import { attachStatements } from '../../src/proof/signatures.js';
import { PROMOTION_TYPE, SUMMARY_TYPE } from '../../src/proof/statement.js';
import { recordOf } from '../ledger/fixture.js';
import { freshScene, JOB, publish, run, type Scene, tag, verdict } from '../promotion/support.js';
import { startMemoryRegistry } from '../registry/memory-registry.js';
import { client, closeAll, digest, repository } from '../registry/support.js';
import { sandbox } from '../sandbox/current.js';
import { type Programs, startPrograms, verifyArguments } from './cosign.js';
import { claimOf, pemPair, signerOf, VERIFIER } from './fixture.js';

/** Our signatures by the real cosign, and cosign's by ours. */

const KEY = pemPair('ec');
const OTHER = pemPair('ec');
const signing = { signer: signerOf(KEY), verifier: VERIFIER };

let programs: Programs;
let key: string;
let otherKey: string;
beforeAll(async () => {
  programs = await startPrograms();
  [key, otherKey] = await Promise.all([programs.file('key.pub', KEY.open), programs.file('other.pub', OTHER.open)]);
});
afterAll(async () => {
  await closeAll();
  await programs.stop();
});

const verify = (type: string, image: string, by = key) => programs.cosign(...verifyArguments(by, type, image));

/** A promotion to distribution v3, which keeps referrers in a tag. */
async function promote(
  wish: Parameters<typeof run>[1] = {},
): Promise<{ readonly scene: Scene; readonly image: string; readonly digest: string }> {
  const scene = await freshScene({ target: sandbox().source });
  const candidate = await publish(scene, 'v1.0.1');
  await run(scene, { candidate, ...wish, with: { signing, ...wish.with } });
  const at = `${scene.target.host}/${scene.targetRepository}`;
  return { scene, image: `${at}@${candidate.digest}`, digest: candidate.digest };
}

describe('on distribution v3', () => {
  test('cosign verifies both statements of an image that earned it, and oras shows them', async () => {
    const { image, digest: own } = await promote();
    for (const type of [PROMOTION_TYPE, SUMMARY_TYPE]) {
      const { status, stdout, stderr } = await verify(type, image);
      expect([status, stderr]).toEqual([0, expect.any(String)]);
      const { payload }: { payload: string } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
      const statement = JSON.parse(Buffer.from(payload, 'base64').toString());
      expect(statement).toMatchObject({
        predicateType: type,
        subject: [{ digest: { sha256: own.slice('sha256:'.length) } }],
      });
    }
    const shown = await programs.oras('discover', '--plain-http', '--format', 'json', image);
    expect(shown).toMatchObject({ status: 0 });
    for (const type of [PROMOTION_TYPE, SUMMARY_TYPE]) expect(shown.stdout).toContain(type);
  });

  test('oras shows the record with the command that the dashboard gives', async () => {
    const { image } = await promote();
    // As on a record's page, but for the registry without TLS.
    const shown = await programs.oras(
      'discover',
      '--plain-http',
      '--format',
      'json',
      '--artifact-type',
      RECORD_TYPE,
      image,
    );
    expect(shown).toMatchObject({ status: 0 });
    const { referrers }: { referrers: unknown[] } = JSON.parse(shown.stdout);
    expect(referrers).toEqual([
      expect.objectContaining({
        artifactType: RECORD_TYPE,
        annotations: expect.objectContaining({ 'vnd.ceph-promotion.n': '1' }),
      }),
    ]);
  });

  test('a forced image is refused if the summary is required', async () => {
    const request = { kind: 'force', tag: tag('v1.0.1'), reason: 'urgent', skipJobs: [JOB] } as const;
    const { image } = await promote({ request, with: { evaluate: verdict('wait') } });
    expect(await verify(PROMOTION_TYPE, image)).toMatchObject({ status: 0 });
    expect((await verify(SUMMARY_TYPE, image)).status).not.toBe(0);
  });

  test('another key and another image are refused', async () => {
    const [{ image }, other] = await Promise.all([promote(), promote()]);
    expect((await verify(PROMOTION_TYPE, image, otherKey)).status).not.toBe(0);
    const stranger = await publish({ ...other.scene, repository: other.scene.targetRepository }, 'v9.9.9');
    const at = `${other.scene.target.host}/${other.scene.targetRepository}`;
    expect((await verify(PROMOTION_TYPE, `${at}@${stranger.digest}`)).status).not.toBe(0);
  });
});

test('cosign verifies both statements on a registry with the referrers API', async () => {
  const target = await startMemoryRegistry();
  target.hasReferrers = true;
  try {
    const image = target.image('team/daemon', 'v1');
    const where = repository(`${target.host}/team/daemon`);
    const record = recordOf('v1');
    const candidate = { ...record.candidate, digest: digest(image.digest) };
    const targets = [{ repository: where, tag: candidate.tag, digest: candidate.digest, source: candidate }];
    const bytes = formatRecord(Object.assign(record, { candidate, targets }), undefined);
    await attachStatements(client(), claimOf([bytes], where), bytes, signing);
    for (const type of [PROMOTION_TYPE, SUMMARY_TYPE]) {
      const { status, stderr } = await verify(type, `${target.host}/team/daemon@${image.digest}`);
      expect([status, stderr]).toEqual([0, expect.any(String)]);
    }
  } finally {
    target.stop();
  }
});

test("an attestation by cosign's own attest meets a requirement of the criteria", async () => {
  const scene = await freshScene({ target: sandbox().source });
  const candidate = await publish(scene, 'v1.0.1');
  const image = `${scene.source.host}/${scene.repository}@${candidate.digest}`;
  expect(await programs.cosign('generate-key-pair')).toMatchObject({ status: 0 });
  const [predicate] = await Promise.all([
    programs.file('predicate.json', JSON.stringify({ scanner: 'clean' })),
    programs.cosign('signing-config', 'create', '--out', 'signing-config.json'),
  ]);
  const type = 'https://scanner.example/result/v1';
  const own = ['--key', 'cosign.key', '--signing-config', 'signing-config.json', '--allow-http-registry'];
  const attested = await programs.cosign('attest', ...own, '--predicate', predicate, '--type', type, image);
  expect(attested).toMatchObject({ status: 0 });
  const { stdout: publicKey } = await programs.cosign('public-key', '--key', 'cosign.key');
  const wanted = { name: 'scan', type, repositories: [] };
  const look = async (keys: string) => {
    const attestations = await wantAttestations([{ ...wanted, by: { keys } }], async () => '{}');
    const { results, remarks } = await attestationEvidence(attestations, candidate, client(), 0);
    return results[0]?.outcome ?? remarks.get('scan');
  };
  expect(await look(publicKey)).toBe('success');
  expect(await look(KEY.open)).toMatch(/not signed by key/);
});
