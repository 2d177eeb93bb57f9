import type { Candidate, Digest, Tag } from '../candidate/reference.js';

/** Everything but `evaluate` is a person's decision, and has a reason. */
export type Request =
  | { readonly kind: 'evaluate' }
  | { readonly kind: 'force'; readonly tag: Tag; readonly reason: string; readonly skipJobs: readonly string[] }
  | { readonly kind: 'rollback'; readonly to: 'previous' | Tag; readonly reason: string }
  | { readonly kind: 'hold'; readonly image: Tag | Digest; readonly reason: string }
  | { readonly kind: 'lift'; readonly image: Tag | Digest; readonly reason: string }
  | { readonly kind: 'quarantine'; readonly image: Tag | Candidate; readonly reason: string }
  | { readonly kind: 'adopt'; readonly image: TagAndDigest; readonly reason: string };

export interface TagAndDigest {
  readonly tag: Tag;
  readonly digest: Digest;
}
