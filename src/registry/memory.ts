import { type Digest, formatRepository, type Repository } from '../candidate/reference.js';

/** Answers that a run keeps, since they cannot change while it runs. */
export interface Memory {
  /** A manifest that was read or stored in this run, in any repository: another one may not have it. */
  recall(digest: Digest): Promise<ManifestBytes> | undefined;
  /** Keeps bytes that were checked against their digest. */
  keep(digest: Digest, manifest: ManifestBytes | Promise<ManifestBytes>): void;
  /** True if the repository has the referrers API; undefined if this run does not know yet. */
  hasReferrers(repository: Repository): boolean | undefined;
  noteReferrers(repository: Repository, hasApi: boolean): void;
  /** True if this run has seen an artifact in the repository, so that its empty config is most likely there. */
  hasEmptyConfig(repository: Repository): boolean;
  noteEmptyConfig(repository: Repository): void;
}

/** The bytes of a manifest, and the media type in the answer or request that carried them. */
export interface ManifestBytes {
  readonly bytes: Buffer;
  readonly mediaType: string | undefined;
}

/** The limit for all kept manifests. One that does not fit is read again. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

export function createMemory(): Memory {
  const manifests = new Map<Digest, Promise<ManifestBytes>>();
  const referrers = new Map<string, boolean>();
  const emptyConfigs = new Set<string>();
  let keptBytes = 0;

  return {
    recall: (digest) => manifests.get(digest),

    keep(digest, manifest) {
      if (manifests.has(digest)) return;
      const kept = Promise.resolve(manifest);
      manifests.set(digest, kept);
      const forget = () => manifests.delete(digest);
      kept.then(({ bytes }) => {
        if (keptBytes + bytes.length > MAX_KEPT_BYTES) forget();
        else keptBytes += bytes.length;
      }, forget);
    },

    hasReferrers: (repository) => referrers.get(formatRepository(repository)),
    noteReferrers: (repository, hasApi) => void referrers.set(formatRepository(repository), hasApi),

    hasEmptyConfig: (repository) => emptyConfigs.has(formatRepository(repository)),
    noteEmptyConfig: (repository) => void emptyConfigs.add(formatRepository(repository)),
  };
}
