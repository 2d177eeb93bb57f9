import * as v from 'valibot';
import { type Digest, digestSchema, type Tag, tagSchema } from '../candidate/reference.js';

/** The image that a vote's `notes` name: `<tag>@<digest>`, `<tag>@<digest> set=<digest>` for a set, or only a tag. */
export interface Notes {
  readonly tag: Tag;
  readonly digest?: Digest;
  readonly setDigest?: Digest | undefined;
}

const SET = ' set=';

export function formatNotes({ tag, digest, setDigest }: Notes): string {
  if (digest === undefined) return tag;
  return setDigest === undefined ? `${tag}@${digest}` : `${tag}@${digest}${SET}${setDigest}`;
}

/** Parses notes, which are free text; undefined if they are not in the form that `formatNotes` writes. */
export function parseNotes(text: string): Notes | undefined {
  const at = text.indexOf('@');
  const tag = v.safeParse(tagSchema, at < 0 ? text : text.slice(0, at));
  if (!tag.success) return undefined;
  if (at < 0) return { tag: tag.output };
  const [named, set, ...more] = text.slice(at + 1).split(SET);
  const digest = v.safeParse(digestSchema, named);
  if (!digest.success || more.length > 0) return undefined;
  if (set === undefined) return { tag: tag.output, digest: digest.output };
  const setDigest = v.safeParse(digestSchema, set);
  return setDigest.success ? { tag: tag.output, digest: digest.output, setDigest: setDigest.output } : undefined;
}

/** A digest alone, whose hex digits would otherwise be taken for the tag behind a colon. */
const BARE_DIGEST = /^sha\d+:[0-9a-f]*$/i;

/** The tag in otherwise garbled notes, such as `tag@…` or `repository:tag@…`; undefined if they name none. */
export function tagInNotes(text: string): Tag | undefined {
  const [image = ''] = text.trim().split(SET, 1);
  const [name = ''] = image.split('@', 1);
  if (BARE_DIGEST.test(name)) return undefined;
  const tag = v.safeParse(tagSchema, /\s/.test(image) ? undefined : name.slice(name.lastIndexOf(':') + 1));
  return tag.success ? tag.output : undefined;
}
