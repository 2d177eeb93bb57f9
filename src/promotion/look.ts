import { errorLine, ServiceError } from '../base/errors.js';
import { type Candidate, formatRepository, type Repository, sameRepository, type Tag } from '../candidate/reference.js';
import { type Label, movingTag, previousLabel } from '../ledger/names.js';
import { contradiction, type LedgerEnd, readEarlier } from '../ledger/proofs.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import type { Visible, VisibleImage } from '../ledger/steps.js';
import { type FoundProofs, findProofs, isOwnProof } from '../proof/record-proof.js';
import { missingStatements } from '../proof/signatures.js';
import type { Signing } from '../proof/signer.js';
import type { Registry } from '../registry/registry.js';
import { imageOf } from '../store/candidate-file.js';
import type { StoreReader } from '../store/reader.js';

/** The store and the repositories to look at. Registries that are not configured are never contacted. */
export interface Place {
  readonly reader: Pick<StoreReader, 'readLabel' | 'readCandidateFile' | 'readRecord'>;
  readonly registry: Registry;
  readonly label: Label;
  readonly repositories: readonly Repository[];
  /** Set if proofs are to be signed: a proof without its signatures counts as missing. */
  readonly signing?: Signing | undefined;
}

export interface Sight {
  readonly visible: Visible;
  /** The targets that could not be read, with the reason. `visible` contains nothing about them. */
  readonly failures: readonly { readonly target: LedgerTarget; readonly error: ServiceError }[];
  /** The contradictions between proofs and the ledger, one line each. */
  readonly contradictions: readonly string[];
  /** The repositories whose registry cannot keep proofs. */
  readonly withoutReferrers: readonly string[];
}

/**
 * Reads everything that makes a record visible: labels, artifacts, images and proofs. Every check of whether the store
 * and the registries match the head uses this; the dashboard, which reads no registry, does not. `end` is undefined for
 * a record that is not written yet. `copied` are the targets whose registry has just confirmed the versioned tag, which
 * is not read again.
 */
export async function look(
  place: Place,
  record: LedgerRecord,
  end: LedgerEnd | undefined,
  copied: readonly LedgerTarget[] = [],
): Promise<Sight> {
  const { reader, label, repositories } = place;
  const images = [record.candidate, record.previous].filter((image) => image !== undefined);
  const isConfigured = ({ repository }: LedgerTarget) => repositories.some((one) => sameRepository(one, repository));
  const targets = record.targets.filter(isConfigured);
  const isCopied = ({ repository, tag, digest }: LedgerTarget) =>
    copied.some((one) => sameRepository(one.repository, repository) && one.tag === tag && one.digest === digest);
  const others = repositories.filter((one) => !targets.some(({ repository }) => sameRepository(one, repository)));
  const [current, previous, published, looks, strangers] = await Promise.all([
    reader.readLabel(label),
    reader.readLabel(previousLabel(label)),
    Promise.all(images.map(({ tag }) => readPublished(reader, tag))),
    Promise.all(targets.map((target) => lookAtTarget(place, record, target, end, isCopied(target)))),
    Promise.all((end === undefined ? [] : others).map((repository) => findStrangers(place, repository))),
  ]);
  const seen = looks.filter((one) => 'image' in one);
  const found = [...seen.map(({ target, found }) => ({ repository: target.repository, found })), ...strangers];
  // Not together with the targets: if the store cannot be read, no target is to blame, and nothing may be believed.
  const contradictions =
    end === undefined
      ? []
      : await Promise.all(found.map(({ repository, found }) => contradictionsOf(place, found, end, repository)));
  return {
    visible: {
      label: current,
      previousLabel: previous,
      published: new Map(published.flat()),
      images: new Map(seen.map(({ target, image }) => [formatRepository(target.repository), image])),
      withoutProof: new Set(
        seen.filter(({ lacksProof }) => lacksProof).map(({ target }) => formatRepository(target.repository)),
      ),
    },
    failures: looks.filter((one) => 'error' in one),
    contradictions: contradictions.flat(),
    withoutReferrers: seen.filter((one) => !one.keepsProofs).map(({ target }) => formatRepository(target.repository)),
  };
}

async function readPublished(reader: Place['reader'], tag: Tag): Promise<[Tag, Candidate][]> {
  const file = await reader.readCandidateFile(tag);
  return file === undefined ? [] : [[tag, imageOf(file)]];
}

type TargetLook =
  | { readonly target: LedgerTarget; readonly error: ServiceError }
  | {
      readonly target: LedgerTarget;
      readonly image: VisibleImage;
      readonly lacksProof: boolean;
      readonly keepsProofs: boolean;
      readonly found: readonly FoundProofs[];
    };

async function lookAtTarget(
  { registry, label, signing }: Place,
  record: LedgerRecord,
  target: LedgerTarget,
  end: LedgerEnd | undefined,
  isCopied: boolean,
): Promise<TargetLook> {
  const repository = registry.repository(target.repository);
  const digestAt = async (tag: Tag) => (await repository.resolve(tag))?.digest;
  try {
    const [versioned, moving] = await Promise.all([
      isCopied ? target.digest : digestAt(target.tag),
      digestAt(movingTag(label)),
    ]);
    // Proofs are looked for even if the image itself is gone, since they may outlive it.
    const digests = [...new Set([moving, target.digest])].filter((digest) => digest !== undefined);
    const found = await Promise.all(digests.map((digest) => findProofs(registry, target.repository, digest, label)));
    const own = found.find(({ digest }) => digest === target.digest);
    const claim = end && { label, record, position: end, target: target.repository, digest: target.digest };
    const unsigned =
      claim === undefined || signing === undefined || own?.keeps === false
        ? []
        : await missingStatements(registry, claim, signing);
    return {
      target,
      image: { versioned, moving },
      lacksProof:
        unsigned.length > 0 ||
        (end !== undefined && own?.keeps !== false && !(own?.proofs ?? []).some((proof) => isOwnProof(proof, end))),
      keepsProofs: found.every(({ keeps }) => keeps),
      found,
    };
  } catch (error) {
    if (error instanceof ServiceError) return { target, error };
    throw error;
  }
}

/** Finds the proofs in a repository that the record does not name. Another ledger may have promoted an image there. */
async function findStrangers({ registry, label }: Place, repository: Repository): Promise<ProofsAt> {
  try {
    const moving = await registry.repository(repository).resolve(movingTag(label));
    const found = moving === undefined ? [] : [await findProofs(registry, repository, moving.digest, label)];
    return { repository, found };
  } catch (error) {
    // The promotion to this repository will report the failure. Other targets do not depend on it.
    if (error instanceof ServiceError) return { repository, found: [] };
    throw error;
  }
}

interface ProofsAt {
  readonly repository: Repository;
  readonly found: readonly FoundProofs[];
}

/** The contradictions between the ledger and the proofs on images of one repository, one line each. */
export async function contradictionsOf(
  { reader, label }: Pick<Place, 'reader' | 'label'>,
  found: readonly FoundProofs[],
  end: LedgerEnd,
  repository: Repository,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { digest, proofs } of found) {
    const earlier = await readEarlier({ read: (n) => reader.readRecord(label, n) }, proofs, end);
    for (const proof of proofs) {
      const problem = contradiction(proof, end, earlier);
      if (problem === undefined) continue;
      problems.push(`the proof at ${formatRepository(repository)}@${digest} contradicts the ledger: ${problem}`);
    }
  }
  return problems;
}

/** Combines the failures of targets into one error; undefined if there are none. */
export function targetError(failures: Sight['failures']): ServiceError | undefined {
  const [first] = failures;
  if (first === undefined) return undefined;
  const lines = failures.map(({ target, error }) => {
    const [name, line] = [formatRepository(target.repository), errorLine(error)];
    return line.startsWith(`${name}:`) ? line : `${name}: ${line}`;
  });
  return new ServiceError(
    first.error.kind,
    `not finished at ${failures.length === 1 ? 'one target' : `${failures.length} targets`}: ${lines.join('; ')}`,
    {
      cause: first.error,
    },
  );
}
