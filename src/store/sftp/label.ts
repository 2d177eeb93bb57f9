import * as v from 'valibot';
import { ServiceError } from '../../base/errors.js';
import { type Tag, tagSchema } from '../../candidate/reference.js';
import type { Label } from '../../ledger/names.js';
import { candidateFileName } from '../candidate-file.js';
import type { LastLook } from '../store.js';
import { isWhole } from './artifact.js';
import { type Directory, makeReadable, pathOf, replaceLink } from './directory.js';

/** A label: a symlink to the artifact beside it, as in `current-ceph -> v6.0.7-stable-6.0-pacific-centos-stream8`. */

/**
 * The tag that a label points at; undefined if there is no label. readArtifact checks whether its artifact is whole.
 */
export async function readLabel(directory: Directory, label: Label): Promise<Tag | undefined> {
  const entry = await directory.session.stat(pathOf(directory, label));
  if (entry === undefined) return undefined;
  const where = `${directory.where}/${label}`;
  if (entry.kind !== 'symlink') {
    throw new ServiceError('conflict', `${where}: is a ${entry.kind}, but a label must be a symlink`);
  }
  const target = await directory.session.readLink(pathOf(directory, label));
  // Another run has removed it since.
  if (target === undefined) return undefined;
  const tag = v.safeParse(tagSchema, target);
  if (!tag.success) {
    throw new ServiceError('conflict', `${where}: points at ${JSON.stringify(target)}, not at a tag beside it`);
  }
  return tag.output;
}

/**
 * Points a label at an artifact, which must be whole and is made readable. Readers see the old tag or the new one.
 */
export async function moveLabel(directory: Directory, label: Label, tag: Tag, lastLook?: LastLook): Promise<void> {
  if (!(await isWhole(directory, tag))) {
    throw new ServiceError('not-found', `${directory.where}: label ${label} cannot move to ${tag}: no such artifact`);
  }
  await makeReadable(directory, tag);
  await makeReadable(directory, candidateFileName(tag));
  if ((await readLabel(directory, label)) !== tag) await replaceLink(directory, label, tag, lastLook);
}

export async function removeLabel(directory: Directory, label: Label, lastLook?: LastLook): Promise<void> {
  if ((await readLabel(directory, label)) === undefined) return;
  await lastLook?.();
  await directory.session.remove(pathOf(directory, label));
}
