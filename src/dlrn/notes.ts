import * as v from 'valibot';
import { type Digest, digestSchema, type Tag, tagSchema } from '../candidate/reference.js';

/** What a vote's `notes` say of the image that was tested: `<tag>@<digest>`, or a bare tag. */
export interface Notes {
  readonly tag: Tag;
  readonly digest?: Digest;
}

export function formatNotes({ tag, digest }: Notes): string {
  return digest === undefined ? tag : `${tag}@${digest}`;
}

/** Undefined where the notes speak of something else: the field is free text. */
export function parseNotes(text: string): Notes | undefined {
  const at = text.indexOf('@');
  const tag = v.safeParse(tagSchema, at < 0 ? text : text.slice(0, at));
  if (!tag.success) return undefined;
  if (at < 0) return { tag: tag.output };
  const digest = v.safeParse(digestSchema, text.slice(at + 1));
  return digest.success ? { tag: tag.output, digest: digest.output } : undefined;
}
