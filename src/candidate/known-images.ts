import type { Digest } from './reference.js';

/** A registry's answer for a tag: facts about its image, or the reason why it has none. */
export type KnownImage =
  | {
      readonly digest: Digest;
      /** In the form that an index uses, such as `linux/amd64`; undefined if not requested. */
      readonly platforms: readonly string[] | undefined;
      /** The build time that the image states, in unix seconds; undefined if it states none, or if not requested. */
      readonly created: number | undefined;
    }
  | { readonly problem: string };

/** By tag. A tag that was not read is absent. */
export type KnownImages = ReadonlyMap<string, KnownImage>;

export function platformsOf(known: KnownImages, tag: string): readonly string[] | undefined {
  const image = known.get(tag);
  return image === undefined || 'problem' in image ? undefined : image.platforms;
}

export function digestOf(known: KnownImages, tag: string): Digest | undefined {
  const image = known.get(tag);
  return image === undefined || 'problem' in image ? undefined : image.digest;
}

export function createdOf(known: KnownImages, tag: string): number | undefined {
  const image = known.get(tag);
  return image === undefined || 'problem' in image ? undefined : image.created;
}
