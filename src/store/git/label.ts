import * as v from 'valibot';
import { ServiceError } from '../../base/errors.js';
import { type Tag, tagSchema } from '../../candidate/reference.js';
import { type Label, labelOfPrevious } from '../../ledger/names.js';
import { isWhole } from './artifact.js';
import type { Change } from './changes.js';
import type { Files } from './files.js';

/** A label: a symlink to the artifact beside it, so that `git show` and a forge's raw view print the tag. */

/** The tag that a label points at; undefined if there is no label. */
export async function readLabel(files: Files, label: Label): Promise<Tag | undefined> {
  const kind = files.kind(label);
  if (kind === undefined) return undefined;
  const where = `${files.branch.where}/${label}`;
  if (kind !== 'symlink') throw new ServiceError('conflict', `${where}: is a ${kind}, but a label must be a symlink`);
  const target = await files.link(label);
  const tag = v.safeParse(tagSchema, target);
  if (tag.success) return tag.output;
  throw new ServiceError('conflict', `${where}: points at ${JSON.stringify(target)}, not at a tag beside it`);
}

/** Points a label at an artifact, which must be whole. */
export function moveLabel(label: Label, tag: Tag): Change {
  return {
    title: `${label} is ${tag}`,
    restsOn: labelOfPrevious(label),
    make: async (files) => {
      if (!isWhole(files, tag)) {
        const { where } = files.branch;
        throw new ServiceError('not-found', `${where}: label ${label} cannot move to ${tag}: no such artifact`);
      }
      if ((await readLabel(files, label)) !== tag) files.put(label, tag, 'symlink');
    },
  };
}

export function removeLabel(label: Label): Change {
  return {
    title: `no ${label}`,
    restsOn: labelOfPrevious(label),
    make: async (files) => {
      if ((await readLabel(files, label)) !== undefined) files.remove(label);
    },
  };
}
