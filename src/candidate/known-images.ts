import type { Digest } from './reference.js';

/** What a registry answered for a tag: what its image is, or why it is none. */
export type KnownImage =
  | {
      readonly digest: Digest;
      /** As an index names them, `linux/amd64`; undefined where nobody asked. */
      readonly platforms: readonly string[] | undefined;
      /** When the image says that it was built, in unix seconds; undefined where it does not say, or nobody asked. */
      readonly created: number | undefined;
    }
  | { readonly problem: string };

/** By tag. A tag that is not in it was not read. */
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
