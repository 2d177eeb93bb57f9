import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Digest, Repository, Tag } from '../candidate/reference.js';
import type { Attached, Attachment } from './attach.js';
import type { CopyReport } from './copy.js';
import type { Copy, CopyOptions, CopyPlan } from './copy-plan.js';
import type { Account } from './login.js';
import type { Descriptor, ImageConfig, ImageManifest, Manifest } from './manifest.js';
import type { ListOptions, TagListing } from './tags.js';

export type { ListedTag } from '../candidate/listing.js';
export type { Attached, Attachment } from './attach.js';
export type { Amount, CopiedImage, CopyReport } from './copy.js';
export type { Copy, CopyOptions, CopyPlan, PlannedCopy } from './copy-plan.js';
export type { Account, Login, PasswordLogin } from './login.js';
export type { Child, Descriptor, ImageConfig, ImageManifest, Index, Manifest } from './manifest.js';
export type { ListOptions, TagListing } from './tags.js';

export interface RegistryOptions {
  /** The account for a repository. Requests to several repositories share a token if their logins are the same. */
  readonly account: (repository: Repository) => Account;
  /** Registries as `host:port` that use http. Loopback hosts need not be listed; with a CA they may use TLS. */
  readonly plainHttp: readonly string[];
  /** Token servers, as `host` or `host:port`, that may get a login although they are not on the registry's site. */
  readonly tokenHosts?: readonly string[];
  /** PEM certificates to trust in addition to Node's own. */
  readonly ca?: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** A client for all registries of one run; it shares connections, tokens and rate limits. */
export interface Registry {
  /** A client for one repository. Creating it sends no request. */
  repository(repository: Repository): RepositoryClient;
  /** Plans what `copy` would do. Changes nothing, and requests no right to push. */
  planCopy(copies: readonly Copy[], options: CopyOptions): Promise<CopyPlan>;
  /**
   * Copies every image by digest and sets its tag. A tag that already points at the digest is left alone. If a tag
   * points at another digest, that is a conflict, and nothing is copied.
   */
  copy(copies: readonly Copy[], options: CopyOptions): Promise<CopyReport>;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** Requests about one repository. Reads ask for the pull scope only; methods that write, and `checkPush`, ask for more. */
export interface RepositoryClient {
  /** Lists all tags, or throws. Never returns only a part. */
  listTags(options: ListOptions): Promise<TagListing>;
  /** Reads the descriptor that a tag points at now; undefined if there is no such tag or repository. */
  resolve(tag: Tag): Promise<Descriptor | undefined>;
  /** Reads a manifest and checks its bytes against the digest; undefined if there is none. */
  findManifest(reference: Tag | Digest): Promise<Manifest | undefined>;
  /** Like findManifest, but throws if there is none. */
  getManifest(reference: Tag | Digest): Promise<Manifest>;
  /** Reads the configuration of an image manifest and checks it against its digest. */
  getConfig(manifest: ImageManifest): Promise<ImageConfig>;
  /**
   * Points a tag at a digest that the repository has, and returns once the registry has confirmed that digest.
   * `lastLook` runs right before the one request that moves the tag. If it throws, the tag does not move.
   */
  moveTag(tag: Tag, digest: Digest, lastLook?: () => Promise<void>): Promise<void>;
  /** The artifacts of a type that are attached to an image; `unsupported` if the registry cannot keep referrers. */
  listAttached(subject: Digest, artifactType: string): Promise<readonly Attached[] | 'unsupported'>;
  /** Reads an artifact's layer of at most `maxBytes`; undefined if there is no such artifact or layer. */
  readAttached(artifact: Digest, artifactType: string, maxBytes: number): Promise<Buffer | undefined>;
  /**
   * Attaches an artifact to an image that the repository has. Attaching it again changes nothing. Throws a ServiceError
   * of kind `unsupported` if the registry definitely does not accept referrers.
   */
  attach(subject: Digest, attachment: Attachment): Promise<void>;
  /** Deletes artifacts of an image, by their digests. False if the registry keeps one of them. */
  detach(subject: Digest, artifacts: readonly Digest[]): Promise<boolean>;
  /** Deletes a tag and nothing else. False if the registry refuses. */
  deleteTag(tag: Tag): Promise<boolean>;
  /**
   * Checks whether this account may push. Changes nothing. False if the registry does not say; throws if it refuses.
   * Call it only for a repository that exists: some registries create one when a client requests a push token.
   */
  checkPush(): Promise<boolean>;
}
