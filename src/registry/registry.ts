import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Digest, Repository, Tag } from '../candidate/reference.js';
import type { Account } from './challenge.js';
import type { CopyReport } from './copy.js';
import type { Copy, CopyOptions, CopyPlan } from './copy-plan.js';
import type { Descriptor, ImageConfig, ImageManifest, Manifest } from './manifest.js';
import type { ListOptions, TagListing } from './tags.js';

export type { ListedTag } from '../candidate/listing.js';
export type { Account, Login } from './challenge.js';
export type { Amount, CopiedImage, CopyReport } from './copy.js';
export type { Copy, CopyOptions, CopyPlan, PlannedCopy } from './copy-plan.js';
export type { Child, Descriptor, ImageConfig, ImageManifest, Index, Manifest } from './manifest.js';
export type { ListOptions, TagListing } from './tags.js';

export interface RegistryOptions {
  /**
   * The account for a repository. An operation uses one for all its repositories on a registry: that of the repository
   * that is pushed to, else of the first that is read.
   */
  readonly account: (repository: Repository) => Account;
  /** Registries as `host:port` that speak http; loopback hosts do by themselves, unless there is a CA and they speak TLS. */
  readonly plainHttp: readonly string[];
  /** PEM certificates to trust beside those that Node brings. */
  readonly ca?: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What this project does with registries. Reading asks for pull only; `copy` and `moveTag` ask for push. */
export interface Registry {
  /** The whole listing or an error; never a part of it. */
  listTags(repository: Repository, options: ListOptions): Promise<TagListing>;
  /** What a tag points at now; undefined where there is no such tag or repository. One HEAD. */
  resolve(repository: Repository, tag: Tag): Promise<Descriptor | undefined>;
  /** A manifest, its bytes checked against the digest. */
  getManifest(repository: Repository, reference: Tag | Digest): Promise<Manifest>;
  /** The configuration of an image manifest, checked against its digest. */
  getConfig(repository: Repository, manifest: ImageManifest): Promise<ImageConfig>;
  /** What `copy` would do. Changes nothing, and asks for no right to. */
  planCopy(copies: readonly Copy[], options: CopyOptions): Promise<CopyPlan>;
  /**
   * Copies every image by digest and sets its tag. A tag that is on that digest already is left, one on another is a
   * conflict, and then nothing at all is copied.
   */
  copy(copies: readonly Copy[], options: CopyOptions): Promise<CopyReport>;
  /**
   * Points a tag at a digest that its repository has. Resolves when the registry has named that digest. `lastLook` comes
   * right before the one request that does it; what it throws leaves the tag as it is.
   */
  moveTag(repository: Repository, tag: Tag, digest: Digest, lastLook?: () => Promise<void>): Promise<void>;
  /** Deletes a tag and nothing else; false where the registry does not let us. */
  deleteTag(repository: Repository, tag: Tag): Promise<boolean>;
  /**
   * Throws where we may not push to a repository; changes nothing. Only for one that exists: some registries create
   * what is asked for with the right to push.
   */
  checkPush(repository: Repository): Promise<void>;
  /** Ends all connections. */
  close(): Promise<void>;
}
