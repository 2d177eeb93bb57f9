import * as v from 'valibot';
import { canonicalRepository, type Digest, type Repository } from '../candidate/reference.js';
import { MAX_RECORD, sha256 } from '../ledger/codec.js';
import type { Label } from '../ledger/names.js';
import type { LedgerEnd, Proof } from '../ledger/proofs.js';
import type { Registry } from '../registry/registry.js';

/**
 * A record attached to the image that it promotes, as an OCI referrer (image spec, manifest.md, "Guidelines for
 * Artifact Usage"): artifactType and one layer, the record's bytes.
 */

export const RECORD_TYPE = 'application/vnd.ceph-promotion.record.v1+json';
const PREFIX = 'vnd.ceph-promotion.';

const hashSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const proofSchema = v.object({
  ledger: hashSchema,
  label: v.string(),
  n: v.pipe(v.string(), v.regex(/^[1-9]\d{0,8}$/), v.transform(Number)),
  sha256: hashSchema,
  target: v.string(),
});

/** A proof, and the artifact that has the record's bytes. */
export interface AttachedProof extends Proof {
  readonly artifact: Digest;
}

export interface FoundProofs {
  readonly digest: Digest;
  readonly proofs: readonly AttachedProof[];
  /** False if the registry definitely cannot keep referrers. */
  readonly keeps: boolean;
}

/**
 * Finds the proofs on one image. Proofs of other labels or for other repositories are left out: a mirror copies those
 * along.
 */
export async function findProofs(
  registry: Registry,
  repository: Repository,
  digest: Digest,
  label: Label,
): Promise<FoundProofs> {
  const attached = await registry.repository(repository).listAttached(digest, RECORD_TYPE);
  if (attached === 'unsupported') return { digest, proofs: [], keeps: false };
  const proofs = attached.flatMap(({ digest: artifact, annotations }): AttachedProof[] => {
    const parsed = v.safeParse(proofSchema, withoutPrefix(annotations));
    if (!parsed.success) return [];
    const { label: of, target, ...proof } = parsed.output;
    return of === label && target === canonicalRepository(repository) ? [{ ...proof, artifact }] : [];
  });
  return { digest, proofs, keeps: true };
}

function withoutPrefix(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const own = Object.entries(annotations).filter(([name]) => name.startsWith(PREFIX));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(PREFIX.length), value]));
}

/** Reads the record that a proof carries; undefined if its bytes are not those that the proof names. */
export async function readProvenRecord(
  registry: Registry,
  repository: Repository,
  { artifact, sha256: hash }: AttachedProof,
): Promise<Buffer | undefined> {
  const bytes = await registry.repository(repository).readAttached(artifact, RECORD_TYPE, MAX_RECORD);
  return bytes !== undefined && sha256(bytes) === hash ? bytes : undefined;
}

export function isOwnProof(proof: Proof, end: LedgerEnd): boolean {
  return proof.ledger === end.ledger && proof.n === end.n && proof.sha256 === end.sha256;
}

/** Attaches the newest record to an image of a target. Attaching it again changes nothing. */
export async function attachProof(
  registry: Registry,
  repository: Repository,
  digest: Digest,
  label: Label,
  end: LedgerEnd,
  record: Buffer,
): Promise<void> {
  if (sha256(record) !== end.sha256) throw new Error('the proof is not of this record');
  await registry.repository(repository).attach(digest, {
    artifactType: RECORD_TYPE,
    layer: record,
    annotations: {
      [`${PREFIX}ledger`]: end.ledger,
      [`${PREFIX}label`]: label,
      [`${PREFIX}n`]: String(end.n),
      [`${PREFIX}sha256`]: end.sha256,
      [`${PREFIX}target`]: canonicalRepository(repository),
    },
  });
}
