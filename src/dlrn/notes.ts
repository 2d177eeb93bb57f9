import * as v from 'valibot';
import { type Digest, digestSchema, type Tag, tagSchema } from '../candidate/reference.js';

/** The image that a vote's `notes` name as tested: `<tag>@<digest>`, or only a tag. */
export interface Notes {
  readonly tag: Tag;
  readonly digest?: Digest;
}

export function formatNotes({ tag, digest }: Notes): string {
  return digest === undefined ? tag : `${tag}@${digest}`;
}

/** Parses notes, which are free text; undefined if they are not in the form that `formatNotes` writes. */
export function parseNotes(text: string): Notes | undefined {
  const at = text.indexOf('@');
  const tag = v.safeParse(tagSchema, at < 0 ? text : text.slice(0, at));
  if (!tag.success) return undefined;
  if (at < 0) return { tag: tag.output };
  const digest = v.safeParse(digestSchema, text.slice(at + 1));
  return digest.success ? { tag: tag.output, digest: digest.output } : undefined;
}

/** The tag in otherwise garbled notes, such as `tag@…` or `repository:tag@…`; undefined if they name none. */
export function tagInNotes(text: string): Tag | undefined {
  const [name = ''] = text.trim().split('@', 1);
  const tag = v.safeParse(tagSchema, /\s/.test(text.trim()) ? undefined : name.slice(name.lastIndexOf(':') + 1));
  return tag.success ? tag.output : undefined;
}
