import { type Digest, formatRepository, type Repository } from '../candidate/reference.js';

/** What a run has learned, so that it does not ask twice for what cannot have changed. */
export interface Memory {
  /** A manifest that was read or stored in this run, in whatever repository. Does not show where it is. */
  recall(digest: Digest): Promise<ManifestBytes> | undefined;
  /** Keeps bytes that were checked against their digest. */
  keep(digest: Digest, manifest: ManifestBytes | Promise<ManifestBytes>): void;
  /** Does the repository's registry have the referrers API? Undefined if this run has not seen it. */
  hasReferrers(repository: Repository): boolean | undefined;
  noteReferrers(repository: Repository, hasApi: boolean): void;
}

/** The bytes of a manifest, and the media type in the answer or request that carried them. */
export interface ManifestBytes {
  readonly bytes: Buffer;
  readonly mediaType: string | undefined;
}

/** Larger manifests are read again. */
const MAX_KEPT_BYTES = 128 * 1024;
const MAX_KEPT = 500;

export function createMemory(): Memory {
  const manifests = new Map<Digest, Promise<ManifestBytes>>();
  const referrers = new Map<string, boolean>();

  return {
    recall: (digest) => manifests.get(digest),

    keep(digest, manifest) {
      if (manifests.size >= MAX_KEPT || manifests.has(digest)) return;
      const kept = Promise.resolve(manifest);
      manifests.set(digest, kept);
      const forget = () => manifests.delete(digest);
      kept.then(({ bytes }) => bytes.length > MAX_KEPT_BYTES && forget(), forget);
    },

    hasReferrers: (repository) => referrers.get(formatRepository(repository)),
    noteReferrers: (repository, hasApi) => void referrers.set(formatRepository(repository), hasApi),
  };
}
