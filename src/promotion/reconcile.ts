import * as v from 'valibot';
import { unixSeconds } from '../base/clock.js';
import { ServiceError, UserError } from '../base/errors.js';
import {
  type Candidate,
  type Digest,
  formatCandidate,
  formatRepository,
  type Tag,
  tagSchema,
} from '../candidate/reference.js';
import { ledgerOf } from '../image-server/image-server.js';
import { type Head, readHead, sealRecord, verifyHead } from '../image-server/ledger.js';
import type { LedgerRecord } from '../image-server/ledger-record.js';
import { type Label, previousLabel } from '../image-server/names.js';
import {
  candidateOf,
  copiesOf,
  describeMove,
  type Move,
  movesTo,
  nextRecord,
  repositoryOf,
  type Visible,
} from './plan.js';
import type { Promotion } from './promotion.js';
import { ledgerTargets, ownedRepositories } from './targets.js';

/** How often the head may move on under us before we give up. */
const ROUNDS = 20;

/**
 * Makes readers see what the ledger's head says, whoever wrote it and wherever that run was stopped; adopts a label
 * that has no ledger yet. Returns the head; undefined where nothing was ever promoted. In a dry run it only looks.
 *
 * @throws UserError where the head must not be acted on; ServiceError where an image is lost, or a server fails.
 */
export async function reconcile(promotion: Promotion): Promise<Head | undefined> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const head = await readHead(ledgerOf(promotion.server, promotion.label));
    if (head === undefined) {
      const record = await adopted(promotion);
      if (record === undefined || promotion.dryRun) return undefined;
      await commit(promotion, record);
    } else if ((await finish(promotion, head)) === 'finished') {
      return head;
    }
  }
  throw new ServiceError('conflict', `the ledger of ${promotion.label} moved on ${ROUNDS} times under this run`);
}

/**
 * Writes a record after the images that it names are at their targets. The append is the commit point: before it
 * nothing was promoted, after it whoever comes next finishes the promotion. `lost`: another run wrote this record.
 */
export async function commit(promotion: Promotion, record: LedgerRecord): Promise<'won' | 'lost'> {
  const { server, label, log } = promotion;
  await ensureImages(promotion, record);
  const bytes = sealRecord(record, promotion.ledgerKey);
  const result = await server.appendLedger(label, record.n, bytes, record.id);
  if (result === 'won') log.info(`ledger record ${record.n} of ${label} written: ${record.kind} ${record.candidate}`);
  else log.info(`another run wrote ledger record ${record.n} of ${label} first; looking again`);
  return result;
}

/** Finishes what a record says; `superseded` where a newer record is there, which then has to be finished instead. */
export async function finish(promotion: Promotion, head: Head): Promise<'finished' | 'superseded'> {
  const moves = movesTo(head.record, await look(promotion, head.record));
  // A target that is configured no more is no harm while nothing is to be moved there.
  const repositories = moves.length > 0 ? ownedRepositories(promotion.targets).map(formatRepository) : undefined;
  await verifyHead(ledgerOf(promotion.server, promotion.label), head, {
    label: promotion.label,
    key: promotion.ledgerKey,
    replay: promotion.replay,
    ...(repositories && { repositories }),
  });
  for (const move of moves) {
    promotion.log.info(`${promotion.dryRun ? 'would move' : 'moving'} ${describeMove(move, promotion.label)}`);
  }
  if (moves.length === 0 || promotion.dryRun) return 'finished';

  await ensureImages(promotion, head.record);
  for (const move of moves) {
    if (await isSuperseded(promotion, head)) return 'superseded';
    await make(promotion, head.record, move);
  }
  const left = movesTo(head.record, await look(promotion, head.record));
  if (await isSuperseded(promotion, head)) return 'superseded';
  const [first] = left;
  if (first !== undefined) {
    throw new ServiceError(
      'conflict',
      `${describeMove(first, promotion.label)}: was made and is undone; who else writes there?`,
    );
  }
  return 'finished';
}

/** The images of a record at their targets, under their versioned tags, and the candidate's files: what a label relies on. */
async function ensureImages(promotion: Promotion, record: LedgerRecord): Promise<void> {
  await promotion.registry.copy(copiesOf(record.targets), { referrers: promotion.referrers });
  const { tag, digest } = candidateOf(record.candidate);
  await promotion.server.writeArtifact({
    reference: record.candidate,
    tag,
    digest,
    created: record.when,
    'run-url': record['run-url'],
    'tags-read': 0,
  });
}

async function isSuperseded({ server, label }: Promotion, head: Head): Promise<boolean> {
  return (await server.readLedger(label, head.record.n + 1)) !== undefined;
}

async function look({ server, registry, label }: Promotion, { targets }: LedgerRecord): Promise<Visible> {
  const [current, previous, ...tags] = await Promise.all([
    server.readLabel(label),
    server.readLabel(previousLabel(label)),
    ...targets.map((target) => registry.resolve(repositoryOf(target), movingTag(label))),
  ]);
  const movingTags = new Map(targets.map((target, index) => [target.repository, tags[index]?.digest]));
  return { label: current, previousLabel: previous, movingTags };
}

async function make({ server, registry, label }: Promotion, { targets }: LedgerRecord, move: Move): Promise<void> {
  switch (move.kind) {
    case 'moving-tag': {
      const target = targets.find((one) => one.repository === move.repository);
      if (target !== undefined) await registry.moveTag(repositoryOf(target), movingTag(label), move.digest);
      return;
    }
    case 'label':
      return server.moveLabel(label, move.tag);
    case 'previous-label':
      return move.tag === undefined
        ? server.removeLabel(previousLabel(label))
        : server.moveLabel(previousLabel(label), move.tag);
  }
}

/**
 * Record 1 for a label that has no ledger, as RDO's artifact_promoter leaves it: the tag is the label's, the digest is
 * that of the moving tag at the targets, since that is what consumers run. Undefined where there is no label.
 */
async function adopted(promotion: Promotion): Promise<LedgerRecord | undefined> {
  const { server, label, log } = promotion;
  const tag = await server.readLabel(label);
  if (tag === undefined) return undefined;
  const candidate: Candidate = { repository: promotion.source, tag, digest: await adoptedDigest(promotion, tag) };
  const targets = ledgerTargets({ candidate: promotion.targets.candidate, companions: [] }, candidate, []);
  const reason = `${label} was there before the ledger`;
  log.info(`${promotion.dryRun ? 'would adopt' : 'adopting'} ${label} as it is: ${formatCandidate(candidate)}`);
  return nextRecord(
    undefined,
    label,
    { kind: 'adopted', reason, targets, decision: null, holds: [], quarantine: [], candidate, previous: undefined },
    promotion.author,
    unixSeconds(promotion.clock),
  );
}

async function adoptedDigest({ server, registry, label, targets }: Promotion, tag: Tag): Promise<Digest> {
  const said = new Map<string, Digest>();
  for (const repository of targets.candidate) {
    for (const name of [movingTag(label), tag]) {
      const found = await registry.resolve(repository, name);
      if (found !== undefined) said.set(`${formatRepository(repository)}:${name}`, found.digest);
    }
  }
  const file = await server.readArtifact(tag);
  if (file !== undefined && file !== 'bare') said.set(`${server.where}/${tag}.json`, file.digest);
  const [first] = said.values();
  if (first === undefined) {
    throw new UserError(
      `label ${label} points at ${tag}, there is no ledger, and no target has ${label} or ${tag}: ` +
        'which image was promoted cannot be told; remove the label, or push the image that it means',
    );
  }
  if ([...said.values()].some((digest) => digest !== first)) {
    const all = [...said].map(([where, digest]) => `${where} is ${digest}`).join(', ');
    throw new UserError(
      `label ${label} points at ${tag}, there is no ledger, and they disagree: ${all}; make them equal`,
    );
  }
  return first;
}

function movingTag(label: Label): Tag {
  return v.parse(tagSchema, label);
}
