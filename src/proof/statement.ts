import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { timestampSchema } from '../base/schema.js';
import {
  canonicalRepository,
  type Digest,
  formatRepository,
  type Repository,
  type Tag,
} from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { ledgerRecordSchema, parseRecord, sha256 } from '../ledger/codec.js';
import { type Label, labelSchema } from '../ledger/names.js';
import { recordPath } from '../ledger/paths.js';
import type { Proof } from '../ledger/proofs.js';
import type { LedgerRecord } from '../ledger/record.js';

/**
 * Statements about an image, by the in-toto attestation framework (github.com/in-toto/attestation,
 * spec/v1/statement.md). We make two: the promotion, with its whole record, and, if the criteria were met, the
 * verification summary of SLSA (slsa.dev/spec/v1.0/verification_summary).
 */

export const PROMOTION_TYPE = 'https://github.com/rdo-infra/ceph-promotion-actions/promotion/v1';
export const SUMMARY_TYPE = 'https://slsa.dev/verification_summary/v1';

const STATEMENT = 'https://in-toto.io/Statement/v1';
/** The media type of a statement in a DSSE envelope. */
export const STATEMENT_MEDIA_TYPE = 'application/vnd.in-toto+json';

const sha256Schema = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const digestSetSchema = v.strictObject({ sha256: sha256Schema });

/** The predicate of `PROMOTION_TYPE`. */
export const promotionPredicateSchema = v.strictObject({
  ledger: v.pipe(sha256Schema, v.description("The ledger's id: the SHA-256 of the bytes of its record 1")),
  label: v.pipe(labelSchema, v.description('The promoted label')),
  n: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.description("The record's number")),
  sha256: v.pipe(
    sha256Schema,
    v.description("The SHA-256 of the record's bytes: `record` as JSON with an indent of two and a final LF"),
  ),
  target: v.pipe(v.string(), v.description('The repository that the image was promoted to')),
  record: v.pipe(ledgerRecordSchema, v.description('The whole record, as in ledger/<label>/<n>.json')),
});

/** The predicate of `SUMMARY_TYPE`, as we fill it. Its fields are those of SLSA 1.0, "Verification Summary Attestation". */
export const summaryPredicateSchema = v.strictObject({
  verifier: v.strictObject({ id: v.pipe(v.string(), v.description('The workflow that promoted, with its ref')) }),
  timeVerified: v.pipe(timestampSchema, v.description('When the record was written')),
  resourceUri: v.pipe(v.string(), v.description('The image as a package URL (purl), with its target repository')),
  policy: v.strictObject({
    uri: v.pipe(v.string(), v.description('Where the criteria file is, in the store')),
    digest: v.pipe(digestSetSchema, v.description('Its digest')),
  }),
  inputAttestations: v.array(
    v.strictObject({
      uri: v.pipe(v.string(), v.description('Where the decision record is, in the store')),
      digest: v.pipe(digestSetSchema, v.description('Its digest, as `report-file` writes it')),
    }),
  ),
  verificationResult: v.literal('PASSED'),
  verifiedLevels: v.array(v.string()),
  slsaVersion: v.literal('1.0'),
});

/** The level for an image that met the criteria. It is our own: SLSA reserves the prefix SLSA_ for its levels. */
const LEVEL = 'CEPH_PROMOTION_CRITERIA_MET';

/** A record's promotion of an image to one target, which statements claim. */
export interface Claim {
  readonly label: Label;
  readonly record: LedgerRecord;
  readonly position: Proof;
  readonly target: Repository;
  readonly digest: Digest;
}

/** The types of the statements that a claim makes. Only the candidate gets a summary, since jobs test the candidate. */
export function typesOf({ record, digest }: Claim): readonly string[] {
  const isMet = record.kind === 'earned' && record.candidate.digest === digest;
  return isMet ? [PROMOTION_TYPE, SUMMARY_TYPE] : [PROMOTION_TYPE];
}

/** The statement of one of `typesOf(claim)`, in the bytes to sign. `verifier` is the URI of the workflow. */
export function formatStatement(claim: Claim, type: string, recordBytes: Buffer, verifier: string): Buffer {
  const { target, digest } = claim;
  return Buffer.from(
    JSON.stringify({
      _type: STATEMENT,
      subject: [{ name: formatRepository(target), digest: { sha256: digest.slice('sha256:'.length) } }],
      predicateType: type,
      predicate: type === SUMMARY_TYPE ? summaryOf(claim, verifier) : promotionOf(claim, recordBytes),
    }),
  );
}

function promotionOf({ label, position, target }: Claim, recordBytes: Buffer) {
  if (sha256(recordBytes) !== position.sha256) throw new Error('the statement is not of this record');
  const { ledger, n } = position;
  const record: unknown = JSON.parse(recordBytes.toString('utf8'));
  return { ledger, label, n, sha256: position.sha256, target: canonicalRepository(target), record };
}

function summaryOf(claim: Claim, verifier: string): v.InferInput<typeof summaryPredicateSchema> {
  const { label, record, target, digest } = claim;
  if (record.kind !== 'earned') throw new Error('only an earned record has a summary');
  const at = recordPath(label, record.n);
  return {
    verifier: { id: verifier },
    timeVerified: record.when,
    resourceUri: purl(target, record.candidate.tag, digest),
    policy: { uri: `${at}#/decision/criteria/content`, digest: { sha256: record.decision.criteria.sha256 } },
    inputAttestations: [{ uri: `${at}#/decision`, digest: { sha256: decisionHash(record.decision) } }],
    verificationResult: 'PASSED',
    verifiedLevels: [LEVEL],
    slsaVersion: '1.0',
  };
}

/** github.com/package-url/purl-spec, type oci. */
function purl(repository: Repository, tag: Tag, digest: Digest): string {
  const name = repository.path.split('/').at(-1) ?? '';
  return `pkg:oci/${name}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(formatRepository(repository))}&tag=${tag}`;
}

function decisionHash(decision: DecisionRecord): string {
  return createHash('sha256')
    .update(`${JSON.stringify(decision, undefined, 2)}\n`)
    .digest('hex');
}

const statementSchema = v.object({
  // cosign writes the former.
  _type: v.picklist(['https://in-toto.io/Statement/v0.1', STATEMENT]),
  subject: v.pipe(v.array(v.object({ digest: v.record(v.string(), v.string()) })), v.minLength(1), v.maxLength(1000)),
  predicateType: v.pipe(v.string(), v.minLength(1)),
  predicate: v.unknown(),
});
export type Statement = v.InferOutput<typeof statementSchema>;

/** Parses a statement of any type; undefined if the bytes are something else. */
export function parseStatement(bytes: Uint8Array): Statement | undefined {
  try {
    const parsed = v.safeParse(statementSchema, JSON.parse(Buffer.from(bytes).toString('utf8')));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** True if the statement is about this image. */
export function isAbout({ subject }: Statement, digest: Digest): boolean {
  return subject.some((one) => one.digest.sha256 !== undefined && `sha256:${one.digest.sha256}` === digest);
}

/** A promotion that a statement claims: its record, and the record's place in the ledger. */
export interface StatedPromotion extends Proof {
  readonly record: LedgerRecord;
}

/**
 * Reads a promotion statement about an image at a target. The caller verifies the signature.
 *
 * @returns the problem, in words, if it is about another image, label or target, or contradicts itself.
 */
export function readPromotion(
  statement: Statement,
  { digest, label, target }: Pick<Claim, 'digest' | 'label' | 'target'>,
): StatedPromotion | { readonly problem: string } {
  if (statement.predicateType !== PROMOTION_TYPE) return { problem: `it is of type ${statement.predicateType}` };
  if (!isAbout(statement, digest)) return { problem: 'it is about another image' };
  const parsed = v.safeParse(promotionPredicateSchema, statement.predicate);
  if (!parsed.success) return { problem: 'its predicate is not a promotion' };
  const { ledger, n, sha256: hash, label: of, target: at } = parsed.output;
  if (of !== label) return { problem: `it is about label ${of}` };
  if (at !== canonicalRepository(target)) return { problem: `it is about target ${at}` };
  const bytes = Buffer.from(`${JSON.stringify(parsed.output.record, undefined, 2)}\n`);
  if (sha256(bytes) !== hash) return { problem: 'its record does not have the hash that it names' };
  const read = parseRecord(bytes);
  if ('problem' in read) return { problem: `its record: ${read.problem}` };
  const { record } = read.value;
  if (record.n !== n || record.label !== label)
    return { problem: 'its record does not have the number and label that it names' };
  if (n === 1 && ledger !== hash) return { problem: 'its record is record 1 of another ledger' };
  const named = record.targets.some(
    (one) => one.digest === digest && canonicalRepository(one.repository) === canonicalRepository(target),
  );
  if (!named) return { problem: 'its record does not promote this image to this target' };
  return { ledger, n, sha256: hash, record };
}

/** True if a statement makes this claim, whoever signed it. */
export function isOfClaim(statement: Statement, claim: Claim, type: string): boolean {
  if (statement.predicateType !== type || !isAbout(statement, claim.digest)) return false;
  if (type === PROMOTION_TYPE) {
    const stated = readPromotion(statement, claim);
    return 'record' in stated && stated.ledger === claim.position.ledger && stated.sha256 === claim.position.sha256;
  }
  const parsed = v.safeParse(summaryPredicateSchema, statement.predicate);
  if (!parsed.success) return false;
  const own = summaryOf(claim, parsed.output.verifier.id);
  return JSON.stringify(parsed.output) === JSON.stringify(own);
}
