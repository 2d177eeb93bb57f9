import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { canonicalRepository, type Digest, formatRepository, type Repository } from '../candidate/reference.js';
import { sha256 } from '../ledger/codec.js';
import type { Label } from '../ledger/names.js';
import { contradiction, type LedgerEnd, readEarlier } from '../ledger/proofs.js';
import type { LedgerReader } from '../ledger/reader.js';
import type { Attached, Registry } from '../registry/registry.js';
import { type Authority, BUNDLE_TYPE, MAX_BUNDLE, openBundle } from './bundle.js';
import type { Signing } from './signer.js';
import {
  type Claim,
  formatStatement,
  isAbout,
  isOfClaim,
  PROMOTION_TYPE,
  readPromotion,
  type StatedPromotion,
  typesOf,
} from './statement.js';

/**
 * Signed statements attached to an image, as cosign attaches and finds them: a referrer whose artifactType and layer
 * are a bundle, with these annotations (github.com/sigstore/cosign, specs/BUNDLE_SPEC.md).
 */

const CONTENT = 'dev.sigstore.bundle.content';
const PREDICATE = 'dev.sigstore.bundle.predicateType';
const CREATED = 'org.opencontainers.image.created';
/** The prefix of our own annotations. They find the wanted statement without reading the others, but prove nothing. */
const OWN = 'vnd.ceph-promotion.';

/** At most this many statements of one type are read, so that nobody can keep a run busy by attaching more. */
const MAX_READ = 100;

async function listBundles(
  registry: Registry,
  repository: Repository,
  digest: Digest,
  type: string,
): Promise<readonly Attached[] | 'unsupported'> {
  const attached = await registry.repository(repository).listAttached(digest, BUNDLE_TYPE);
  return attached === 'unsupported' ? attached : attached.filter((bundle) => mayBeOf(type, bundle));
}

/** Some programs leave the annotation out. Then only the statement itself names its type. */
function mayBeOf(type: string, { annotations }: Attached): boolean {
  return (annotations[PREDICATE] ?? type) === type;
}

/** The types of a claim's statements that are not attached yet, or not by this signer. */
export async function missingStatements(registry: Registry, claim: Claim, { signer }: Signing): Promise<string[]> {
  const missing: string[] = [];
  const attached = await registry.repository(claim.target).listAttached(claim.digest, BUNDLE_TYPE);
  if (attached === 'unsupported') return [];
  const ofRecord = attached.filter(({ annotations }) => annotations[`${OWN}sha256`] === claim.position.sha256);
  for (const type of typesOf(claim)) {
    const own = ofRecord.filter((bundle) => mayBeOf(type, bundle));
    const isThere = async ({ digest }: Attached) => {
      const bytes = await registry.repository(claim.target).readAttached(digest, BUNDLE_TYPE, MAX_BUNDLE);
      const opened = bytes === undefined ? undefined : await signer.open(bytes);
      return opened !== undefined && 'statement' in opened && isOfClaim(opened.statement, claim, type);
    };
    if (!(await some(own.slice(0, MAX_READ), isThere))) missing.push(type);
  }
  return missing;
}

async function some<T>(values: readonly T[], isWanted: (value: T) => Promise<boolean>): Promise<boolean> {
  for (const value of values) if (await isWanted(value)) return true;
  return false;
}

/**
 * Signs and attaches the missing statements of a claim. Doing it again attaches nothing, even after a run that was
 * killed in between.
 *
 * @throws ServiceError of kind `unsupported` if the registry definitely does not keep referrers.
 */
export async function attachStatements(
  registry: Registry,
  claim: Claim,
  record: Buffer,
  signing: Signing,
): Promise<void> {
  const { label, position, target, digest } = claim;
  for (const type of await missingStatements(registry, claim, signing)) {
    const layer = await signing.signer.sign(formatStatement(claim, type, record, signing.verifier));
    await registry.repository(target).attach(digest, {
      artifactType: BUNDLE_TYPE,
      layer,
      annotations: {
        [CONTENT]: 'dsse-envelope',
        [PREDICATE]: type,
        [CREATED]: claim.record.when,
        [`${OWN}ledger`]: position.ledger,
        [`${OWN}label`]: label,
        [`${OWN}n`]: String(position.n),
        [`${OWN}sha256`]: position.sha256,
        [`${OWN}target`]: canonicalRepository(target),
      },
    });
  }
}

/** Our own annotations, each of which may be absent. */
const ownSchema = v.object({
  [`${OWN}ledger`]: v.optional(v.string()),
  [`${OWN}label`]: v.optional(v.string()),
  [`${OWN}n`]: v.optional(v.pipe(v.string(), v.regex(/^[1-9]\d{0,8}$/), v.transform(Number))),
  [`${OWN}target`]: v.optional(v.string()),
});

/**
 * The bundles that may be a promotion of this label to this repository. Of those that are older than `end` by their
 * annotations, only the newest: that one is enough to compare with the ledger, and whoever can write annotations could
 * also delete the bundle.
 */
async function listPromotions(
  registry: Registry,
  repository: Repository,
  digest: Digest,
  label: Label,
  end: LedgerEnd,
): Promise<readonly Attached[] | 'unsupported'> {
  const attached = await listBundles(registry, repository, digest, PROMOTION_TYPE);
  if (attached === 'unsupported') return attached;
  const target = canonicalRepository(repository);
  const promotions = attached.flatMap((bundle) => {
    const parsed = v.safeParse(ownSchema, bundle.annotations);
    if (!parsed.success) return [{ bundle, older: undefined }];
    const own = parsed.output;
    if ((own[`${OWN}label`] ?? label) !== label || (own[`${OWN}target`] ?? target) !== target) return [];
    const n = own[`${OWN}n`];
    const isOlder = own[`${OWN}ledger`] === end.ledger && n !== undefined && n < end.n;
    return [{ bundle, older: isOlder ? n : undefined }];
  });
  const newest = Math.max(0, ...promotions.map(({ older = 0 }) => older));
  return promotions.filter(({ older = newest }) => older === newest).map(({ bundle }) => bundle);
}

/** The bundles of both types that ledgers of this label left on an image, by their annotations. */
export async function findSignatures(
  registry: Registry,
  repository: Repository,
  digest: Digest,
  label: Label,
): Promise<readonly Digest[]> {
  const attached = await registry.repository(repository).listAttached(digest, BUNDLE_TYPE);
  if (attached === 'unsupported') return [];
  const target = canonicalRepository(repository);
  return attached
    .filter(({ annotations }) => annotations[`${OWN}label`] === label && annotations[`${OWN}target`] === target)
    .map(({ digest: artifact }) => artifact);
}

/** A statement that was verified. */
export interface FoundStatement {
  readonly by: string;
  /** Of the bundle. */
  readonly sha256: string;
}

/** Finds a statement of a type about an image that a trusted authority signed, or the reason why there is none. */
export async function findStatement(
  registry: Registry,
  repository: Repository,
  digest: Digest,
  type: string,
  authority: Authority,
): Promise<FoundStatement | { readonly problem: string }> {
  const attached = await listBundles(registry, repository, digest, type);
  if (attached === 'unsupported') return { problem: 'the registry keeps no signatures' };
  const problems: string[] = [];
  for (const { digest: artifact } of attached.slice(0, MAX_READ)) {
    const bytes = await registry.repository(repository).readAttached(artifact, BUNDLE_TYPE, MAX_BUNDLE);
    if (bytes === undefined) continue;
    const opened = await openBundle(bytes, authority);
    if ('problem' in opened) problems.push(opened.problem);
    else if (opened.statement.predicateType !== type) problems.push(`it is of type ${opened.statement.predicateType}`);
    else if (!isAbout(opened.statement, digest)) problems.push('it is about another image');
    else return { by: opened.by, sha256: sha256(bytes) };
  }
  return { problem: whyNone(problems) };
}

/** Why no statement counts, from the problem with each. */
function whyNone([first, ...others]: readonly string[]): string {
  if (first === undefined) return 'there is none';
  return others.length === 0
    ? `the only one does not count: ${first}`
    : `none of ${others.length + 1} counts: ${first}`;
}

/** The promotion of an image to a target by a ledger's head, which a signature must confirm. */
export interface Signed {
  readonly label: Label;
  readonly ledger: Pick<LedgerReader, 'read'>;
  readonly end: LedgerEnd;
  readonly target: Repository;
  readonly digest: Digest;
  /** The digest that the target's moving tag points at; undefined if there is no such tag. */
  readonly moving: Digest | undefined;
}

/** The signer of the head's promotion of an image, or the reason why it is not believed. */
export type Trusted = { readonly by: string } | { readonly problem: string };

/**
 * Verifies that a trusted authority signed the head's record as the promotion of this image to this target, and that no
 * statement on this image, or on the one of the moving tag, contradicts the ledger: none is newer or of another ledger,
 * and the newest older one is about the record that the ledger has.
 *
 * @throws ServiceError if the registry or the ledger cannot be read.
 */
export async function verifySigned(registry: Registry, signed: Signed, authority: Authority): Promise<Trusted> {
  const { target, digest, end, moving, ledger } = signed;
  const where = `${formatRepository(target)}@${digest}`;
  const problems: string[] = [];
  let by: string | undefined;
  for (const image of new Set([digest, moving ?? digest])) {
    const attached = await listPromotions(registry, target, image, signed.label, end);
    if (attached === 'unsupported') return { problem: `${where}: the registry keeps no signatures` };
    if (attached.length > MAX_READ) {
      throw new ServiceError('too-large', `${formatRepository(target)}@${image}: has more than ${MAX_READ} statements`);
    }
    const believed: BelievedPromotion[] = [];
    for (const { digest: artifact } of attached) {
      const bytes = await registry.repository(target).readAttached(artifact, BUNDLE_TYPE, MAX_BUNDLE);
      const stated = await readStated(bytes, { ...signed, digest: image }, authority);
      if ('problem' in stated) problems.push(stated.problem);
      else believed.push(stated);
    }
    const earlier = await readEarlier(ledger, believed, end);
    for (const stated of believed) {
      const problem = contradiction(stated, end, earlier);
      if (problem !== undefined) {
        const statement = `a statement by ${stated.by} contradicts the ledger`;
        return { problem: `${formatRepository(target)}@${image}: ${statement}: ${problem}` };
      }
      if (image === digest && stated.ledger === end.ledger && stated.sha256 === end.sha256) by ??= stated.by;
      else problems.push(`it is about record ${stated.n}`);
    }
  }
  if (by !== undefined) return { by };
  return { problem: `${where}: no valid statement that ledger record ${end.n} promotes it: ${whyNone(problems)}` };
}

interface BelievedPromotion extends StatedPromotion {
  readonly by: string;
}

async function readStated(
  bytes: Buffer | undefined,
  of: Pick<Claim, 'digest' | 'label' | 'target'>,
  authority: Authority,
): Promise<BelievedPromotion | { readonly problem: string }> {
  if (bytes === undefined) return { problem: 'its bundle cannot be read' };
  const opened = await openBundle(bytes, authority);
  if ('problem' in opened) return opened;
  const stated = readPromotion(opened.statement, of);
  return 'problem' in stated ? stated : { ...stated, by: opened.by };
}
