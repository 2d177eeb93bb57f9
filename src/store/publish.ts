import { rfc3339 } from '../base/clock.js';
import { ServiceError, UserError } from '../base/errors.js';
import { parseWith } from '../base/schema.js';
import type { ImageSet } from '../candidate/image-set.js';
import { formatCandidate, type Tag } from '../candidate/reference.js';
import type { CandidateLabel } from '../ledger/names.js';
import { type CandidateFile, candidateFileSchema, companionKeys, refuseOtherImage } from './candidate-file.js';
import type { Store } from './store.js';

/** The changes that publishing a candidate makes. */
export interface PublishPlan {
  readonly file: CandidateFile;
  readonly label: CandidateLabel;
  readonly writesArtifact: boolean;
  readonly movesLabel: boolean;
}

export interface PublishOptions {
  readonly server: Store;
  readonly candidate: ImageSet;
  readonly label: CandidateLabel;
  /** The number of tags that the candidate was chosen from; 0 if unknown. */
  readonly tagsRead: number;
  readonly runUrl: string | undefined;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly dryRun: boolean;
}

export interface Published {
  /** True if anything was changed or, in a dry run, would be. */
  readonly changed: boolean;
  /** The tag that the label pointed at before. */
  readonly previousTag: Tag | undefined;
  readonly label: CandidateLabel;
}

/** Names the candidate for the test jobs: its artifact, its candidate file, and then the label that points there. */
export async function publishCandidate(options: PublishOptions): Promise<Published> {
  const { server, candidate, label } = options;
  const file = candidateFile(options);
  const artifact = await server.readArtifact(candidate.tag);
  const previousTag = await server.readLabel(label);
  const plan = planPublish(file, label, artifact, previousTag);
  const changed = plan.writesArtifact || plan.movesLabel;
  if (changed && !options.dryRun) await applyPublish(server, plan);
  return { changed, previousTag, label };
}

function candidateFile({ candidate, tagsRead, runUrl, createdAt }: PublishOptions): CandidateFile {
  const { tag, digest } = candidate;
  const file = {
    reference: formatCandidate(candidate),
    tag,
    digest,
    ...companionKeys(candidate),
    created: rfc3339(createdAt),
    'run-url': runUrl ?? null,
    'tags-read': tagsRead,
  };
  return parseWith(
    candidateFileSchema,
    file,
    (problem) => new UserError(`${formatCandidate(candidate)}: ${problem}`, { hint: 'reference' }),
  );
}

/**
 * Decides what to write from what is there. A tag keeps its digest for ever, but may be tested with other companions
 * later: results on the former set do not count for the new one. Throws if the tag has another digest.
 */
function planPublish(
  file: CandidateFile,
  label: CandidateLabel,
  artifact: CandidateFile | 'bare' | undefined,
  labelled: Tag | undefined,
): PublishPlan {
  const written = artifact !== undefined && artifact !== 'bare';
  if (written) refuseOtherImage(artifact, file);
  const writesArtifact = !written || artifact['set-digest'] !== file['set-digest'];
  return { file, label, writesArtifact, movesLabel: labelled !== file.tag };
}

async function applyPublish(server: Store, plan: PublishPlan): Promise<void> {
  await server.sweep();
  if (plan.writesArtifact) await server.writeArtifact(plan.file, { replace: 'set' });
  if (plan.movesLabel) await moveAndReadBack(server, plan.label, plan.file.tag);
}

async function moveAndReadBack(server: Store, label: CandidateLabel, tag: Tag): Promise<void> {
  await server.moveLabel(label, tag);
  const now = await server.readLabel(label);
  if (now === tag) return;
  throw new ServiceError('conflict', `${server.where}: label ${label} was moved to ${tag}, but points at ${now}`);
}
