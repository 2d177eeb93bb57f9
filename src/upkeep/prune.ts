import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { formatRepository, type Repository, sameRepository } from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { endOfVerified, verifyLedger } from '../ledger/verify.js';
import { look } from '../promotion/look.js';
import { findProofs } from '../proof/record-proof.js';
import { findSignatures } from '../proof/signatures.js';
import type { Registry } from '../registry/registry.js';
import type { CandidateFile } from '../store/candidate-file.js';
import { ledgerOf } from '../store/reader.js';
import type { Store } from '../store/store.js';
import { type Removable, removable } from './retention.js';

export interface PruneOptions {
  readonly server: Store;
  readonly registry: Registry;
  /** The repositories in which tags may be deleted. */
  readonly repositories: readonly Repository[];
  readonly ledgerKey: string | undefined;
  /** The number of images, counted from each ledger's newest, that must stay available for a rollback. */
  readonly keep: number;
  /** If false, deletions are only listed. */
  readonly delete: boolean;
  readonly log: Log;
}

export interface Pruned extends Removable {
  /** The deleted names, as the store or registry writes them. */
  readonly removed: readonly string[];
}

/**
 * Lists the artifacts and images that no rollback of any ledger in the directory needs, and deletes them if asked to.
 *
 * @throws ServiceError if a ledger is not trusted, contradicts the proofs at the targets, or grows in the meantime.
 */
export async function prune(options: PruneOptions): Promise<Pruned> {
  const { server, repositories, keep } = options;
  const ledgers = await readLedgers(options);
  const found = removable([...ledgers.values()], await readCandidateFiles(server), {
    keep,
    repositories,
    labelled: new Set((await server.listLinks()).values()),
  });
  const images = await thoseThere(options, found.images);
  const listed = { artifacts: found.artifacts, images };
  return { ...listed, removed: options.delete ? await remove(options, listed, ledgers) : [] };
}

/** Reads all ledgers whole. One that was cut would hide images that a rollback needs, so proofs are checked too. */
async function readLedgers(options: PruneOptions): Promise<Map<Label, readonly LedgerRecord[]>> {
  const { server, registry, repositories, ledgerKey } = options;
  const ledgers = new Map<Label, readonly LedgerRecord[]>();
  for (const label of await server.listLedgers()) {
    const rules = { label, key: ledgerKey };
    const verification = await verifyLedger(ledgerOf(server, label), rules);
    const { records } = verification;
    const [head] = records.slice(-1);
    const end = endOfVerified(verification);
    const seen = head && (await look({ reader: server, registry, label, repositories }, head, end));
    const problem = verification.problem ?? seen?.contradictions[0];
    if (problem !== undefined) throw new ServiceError('bad-answer', `ledger of ${label}: ${problem}`);
    ledgers.set(label, records);
  }
  return ledgers;
}

/** Reads the candidate files of our own artifacts. An artifact without one belongs to RDO and must not be deleted. */
async function readCandidateFiles(server: Store): Promise<CandidateFile[]> {
  const files: CandidateFile[] = [];
  for (const tag of await server.listArtifacts()) {
    const file = await server.readArtifact(tag);
    if (file !== undefined && file !== 'bare') files.push(file);
  }
  return files;
}

/** Keeps only the tags that still point at the recorded image. Any other image is not ours to delete. */
async function thoseThere({ registry }: PruneOptions, targets: readonly LedgerTarget[]): Promise<LedgerTarget[]> {
  const there: LedgerTarget[] = [];
  for (const target of targets) {
    const found = await registry.repository(target.repository).resolve(target.tag);
    if (found?.digest === target.digest) there.push(target);
  }
  return there;
}

async function remove(
  { server, registry, log }: PruneOptions,
  { artifacts, images }: Removable,
  ledgers: ReadonlyMap<Label, readonly LedgerRecord[]>,
): Promise<string[]> {
  const removed: string[] = [];
  const note = (what: string) => {
    log.info(`removed ${what}`);
    removed.push(what);
  };
  /** A rollback that starts in the meantime may need an image that is about to be deleted. */
  const lastLook = async () => {
    for (const label of await server.listLedgers()) {
      const end = ledgers.get(label)?.length ?? 0;
      if ((await server.readRecord(label, end + 1)) === undefined) continue;
      throw new ServiceError('conflict', `the ledger of ${label} has a new record; run again when that run has ended`);
    }
  };
  for (const target of images) {
    await lastLook();
    const name = `${formatRepository(target.repository)}:${target.tag}`;
    if (await registry.repository(target.repository).deleteTag(target.tag)) {
      note(name);
      await removeProofs(registry, target, images, ledgers, log);
    } else log.warning(`${name}: the registry does not delete tags, or not for this account; delete it there`);
  }
  for (const tag of artifacts) {
    await lastLook();
    await server.removeArtifact(tag);
    note(`${server.where}/${tag}`);
  }
  return removed;
}

/** Removes the proofs of these ledgers from a deleted image, unless the image is kept under another tag. */
async function removeProofs(
  registry: Registry,
  { repository, digest }: LedgerTarget,
  deleted: readonly LedgerTarget[],
  ledgers: ReadonlyMap<Label, readonly LedgerRecord[]>,
  log: Log,
): Promise<void> {
  const isSame = (one: LedgerTarget) => one.digest === digest && sameRepository(one.repository, repository);
  const tags = new Set(deleted.filter(isSame).map(({ tag }) => tag));
  const named = [...ledgers.values()].flat().flatMap(({ targets }) => targets.filter(isSame));
  if (named.some(({ tag }) => !tags.has(tag))) return;
  const found = await Promise.all([...ledgers.keys()].map((label) => findProofs(registry, repository, digest, label)));
  const signatures = await Promise.all(
    [...ledgers.keys()].map((label) => findSignatures(registry, repository, digest, label)),
  );
  const artifacts = [...found.flatMap(({ proofs }) => proofs.map(({ artifact }) => artifact)), ...signatures.flat()];
  if (artifacts.length === 0) return;
  const name = `${formatRepository(repository)}@${digest}`;
  if (await registry.repository(repository).detach(digest, artifacts)) log.info(`removed the proofs of ${name}`);
  else log.warning(`${name}: the registry keeps its proofs; they do no harm`);
}
