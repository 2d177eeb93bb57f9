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
import { createFile, type Directory, pathOf, replaceFile } from './directory.js';

/**
 * An artifact in the form of RDO's artifact_promoter: a file that is named after a tag and contains the tag.
 * `<tag>.json` beside it names the image that the tag stands for. The artifact is written first, so one without
 * `<tag>.json` looks like RDO's.
 */

/**
 * `partial`: only its beginning is there. RDO's artifact_promoter leaves that if its write was cut off, which ours
 * cannot be, and an empty file if it is given no content.
 */
async function artifactState(directory: Directory, tag: Tag): Promise<'whole' | 'partial' | 'absent'> {
  const entry = await directory.session.stat(pathOf(directory, tag));
  if (entry === undefined) return 'absent';
  const refuse = (what: string) =>
    new ServiceError('conflict', `${pathUrl(directory, tag)}: is ${what}, not the artifact`);
  if (entry.kind === 'symlink') throw refuse('a label');
  if (entry.kind !== 'file') throw refuse(`a ${entry.kind}`);
  if (entry.size > tag.length + 1) throw refuse('another file');
  const bytes = await directory.session.readFile(pathOf(directory, tag), tag.length + 1);
  if (bytes === undefined) return 'absent';
  const content = bytes.toString('latin1');
  if (content === tag || content === `${tag}\n`) return 'whole';
  if (tag.startsWith(content)) return 'partial';
  throw refuse('another file');
}

/** True if there is a whole artifact of a tag, with or without its candidate file. */
export async function isWhole(directory: Directory, tag: Tag): Promise<boolean> {
  return (await artifactState(directory, tag)) === 'whole';
}

/** The candidate file of a tag, even if its artifact is missing; undefined if there is none. */
export async function readCandidateFile(directory: Directory, tag: Tag): Promise<CandidateFile | undefined> {
  const name = candidateFileName(tag);
  const bytes = await directory.session.readFile(pathOf(directory, name), MAX_CANDIDATE_FILE);
  return bytes && parseCandidateFile(bytes.toString('utf8'), tag, pathUrl(directory, name));
}

/** The candidate file of a tag; `bare` if there is none; undefined if there is no whole artifact. */
export async function readArtifact(directory: Directory, tag: Tag): Promise<CandidateFile | 'bare' | undefined> {
  if (!(await isWhole(directory, tag))) return undefined;
  return (await readCandidateFile(directory, tag)) ?? 'bare';
}

/**
 * Writes an artifact and its candidate file if they are absent, and reads them back. A partial artifact is replaced by
 * the whole one, since it could not have become anything else, and artifact_promoter goes by its name alone. Any other
 * content under its name is not ours, and stays.
 */
export async function writeArtifact(
  directory: Directory,
  file: CandidateFile,
  { replace }: { readonly replace?: Replaces } = {},
): Promise<void> {
  parseWith(candidateFileSchema, file, (problem) => new UserError(`cannot publish ${file.tag}: ${problem}`));
  const { tag } = file;
  const content = Buffer.from(tag);
  const state = await artifactState(directory, tag);
  const published = await readCandidateFile(directory, tag);
  const isOther = published !== undefined && published.reference !== file.reference;
  if (isOther && replace !== 'image') refuseOtherImage(published, file);
  const replaces = isOther || (replace === 'set' && published?.['set-digest'] !== file['set-digest']);
  if (state === 'whole' && published !== undefined && !replaces) return;
  if (state === 'absent') await unlessThere(createFile(directory, tag, content));
  if (state === 'partial') await replaceFile(directory, tag, content);
  const json = Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
  if (published === undefined) await unlessThere(createFile(directory, candidateFileName(tag), json));
  else if (replaces) await replaceFile(directory, candidateFileName(tag), json);
  const written = await readArtifact(directory, tag);
  if (written === undefined || written === 'bare') {
    throw new ServiceError(
      'conflict',
      `${pathUrl(directory, tag)}: was written, but is not there; who else writes there?`,
    );
  }
  refuseOtherImage(written, file);
}

/** Tolerates another run that wrote the same file at the same time. The result is read afterwards. */
async function unlessThere(creation: Promise<void>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!(error instanceof ServiceError && error.kind === 'conflict')) throw error;
  }
}

/** The tags that have an artifact, by the names and sizes of files. */
export async function listArtifacts(directory: Directory): Promise<Tag[]> {
  const entries = await directory.session.list(directory.path);
  const tags = entries.flatMap(({ name, kind, size }) => {
    const tag = v.safeParse(artifactTagSchema, name);
    const fits = kind === 'file' && (size === name.length || size === name.length + 1);
    return fits && tag.success ? [tag.output] : [];
  });
  // Servers list a directory in any order.
  return tags.sort();
}

/** The name that each symlink means (see nameInLink), no matter who made it. */
export async function listLinks({ session, path }: Directory): Promise<Map<string, string>> {
  const links = new Map<string, string>();
  for (const { name, kind } of await session.list(path)) {
    const target = kind === 'symlink' ? await session.readLink(`${path}/${name}`) : undefined;
    if (target !== undefined) links.set(name, nameInLink(target));
  }
  return links;
}

/** Removes an artifact, its candidate file first; refused while a label points at it. */
export async function removeArtifact(directory: Directory, tag: Tag): Promise<void> {
  const { session } = directory;
  for (const [name, target] of await listLinks(directory)) {
    if (target === tag) throw new UserError(`${pathUrl(directory, tag)}: label ${name} points at it, so it stays`);
  }
  const state = await artifactState(directory, tag);
  if ((await readCandidateFile(directory, tag)) !== undefined) {
    await session.remove(pathOf(directory, candidateFileName(tag)));
  }
  if (state !== 'absent') await session.remove(pathOf(directory, tag));
}

function pathUrl(directory: Directory, name: string): string {
  return `${directory.where}/${name}`;
}
