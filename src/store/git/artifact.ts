import * as v from 'valibot';
import { ServiceError, UserError } from '../../base/errors.js';
import { parseWith } from '../../base/schema.js';
import type { Tag } from '../../candidate/reference.js';
import { artifactTagSchema } from '../../ledger/names.js';
import {
  type CandidateFile,
  candidateFileName,
  candidateFileSchema,
  MAX_CANDIDATE_FILE,
  parseCandidateFile,
  refuseOtherImage,
} from '../candidate-file.js';
import { nameInLink } from '../links.js';
import type { Replaces } from '../store.js';
import type { Change } from './changes.js';
import type { Files } from './files.js';

/** An artifact, as on an image server: a file that is named after a tag and contains it, and `<tag>.json` beside it. */

/** True if there is a whole artifact of a tag, with or without its candidate file. */
export function isWhole(files: Files, tag: Tag): boolean {
  const kind = files.kind(tag);
  if (kind === undefined) return false;
  if (kind !== 'file') throw conflict(files, tag, `is a ${kind === 'symlink' ? 'label' : kind}, not the artifact`);
  if (!isArtifact(files, tag)) throw conflict(files, tag, 'is another file, not the artifact');
  return true;
}

function isArtifact(files: Files, tag: string): boolean {
  return files.holds(tag, tag, `${tag}\n`);
}

/** The candidate file of a tag, even if its artifact is missing; undefined if there is none. */
export async function readCandidateFile(files: Files, tag: Tag): Promise<CandidateFile | undefined> {
  const name = candidateFileName(tag);
  const kind = files.kind(name);
  if (kind !== undefined && kind !== 'file') throw conflict(files, name, `is a ${kind}, not a candidate file`);
  const bytes = await files.read(name, MAX_CANDIDATE_FILE);
  return bytes && parseCandidateFile(bytes.toString('utf8'), tag, `${files.branch.where}/${name}`);
}

/** The candidate file of a tag; `bare` if there is none; undefined if there is no whole artifact. */
export async function readArtifact(files: Files, tag: Tag): Promise<CandidateFile | 'bare' | undefined> {
  return isWhole(files, tag) ? ((await readCandidateFile(files, tag)) ?? 'bare') : undefined;
}

export function writeArtifact(file: CandidateFile, replace?: Replaces): Change {
  const { tag } = parseWith(
    candidateFileSchema,
    file,
    (problem) => new UserError(`cannot publish ${file.tag}: ${problem}`),
  );
  return {
    title: tag,
    make: async (files) => {
      const there = await readArtifact(files, tag);
      if (there !== undefined && there !== 'bare') {
        const isSame = there.reference === file.reference;
        if (isSame && (replace !== 'set' || there['set-digest'] === file['set-digest'])) return;
        if (replace !== 'image') refuseOtherImage(there, file);
      }
      if (there === undefined) files.put(tag, tag);
      files.put(candidateFileName(tag), `${JSON.stringify(file, undefined, 2)}\n`);
    },
  };
}

/** Removes an artifact and its candidate file; refused while a label points at it. */
export function removeArtifact(tag: Tag): Change {
  return {
    title: `remove ${tag}`,
    restsOn: 'all',
    make: async (files) => {
      for (const [name, target] of await listLinks(files)) {
        if (target === tag) {
          throw new UserError(`${files.branch.where}/${tag}: label ${name} points at it, so it stays`);
        }
      }
      if ((await readArtifact(files, tag)) === undefined) return;
      files.remove(candidateFileName(tag));
      files.remove(tag);
    },
  };
}

/** The tags that have an artifact. */
export function listArtifacts(files: Files): Tag[] {
  return files.names().flatMap((name) => {
    const tag = v.safeParse(artifactTagSchema, name);
    return tag.success && files.kind(name) === 'file' && isArtifact(files, name) ? [tag.output] : [];
  });
}

/** The name that each symlink means (see nameInLink), no matter who made it. */
export async function listLinks(files: Files): Promise<Map<string, string>> {
  const links = new Map<string, string>();
  for (const name of files.names()) {
    const target = await files.link(name);
    if (target !== undefined) links.set(name, nameInLink(target));
  }
  return links;
}

function conflict({ branch }: Files, name: string, problem: string): ServiceError {
  return new ServiceError('conflict', `${branch.where}/${name}: ${problem}`);
}
