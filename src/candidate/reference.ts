import * as v from 'valibot';
import { isLoopback } from '../base/loopback.js';

/**
 * Names of images, by the grammar of the OCI distribution spec (v1.1, "Pulling manifests") and of
 * github.com/distribution/reference. Once a candidate is found, everything refers to its digest.
 */

const quoted = (text: unknown): string => JSON.stringify(text);

/** `sha256:` and 64 lower-case hex digits. No registry that we know of serves manifests under another algorithm. */
export const digestSchema = v.pipe(
  v.string(),
  v.regex(/^sha256:[0-9a-f]{64}$/, (issue) => `${issue.received} is not a digest such as sha256:<64 hex digits>`),
  v.brand('Digest'),
);
export type Digest = v.InferOutput<typeof digestSchema>;

/** OCI: at most 128 characters, no leading `.` or `-`. */
export const tagSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/,
    (issue) => `${issue.received} is not a tag: letters, digits, _ . -, at most 128, not . or - first`,
  ),
  v.brand('Tag'),
);
export type Tag = v.InferOutput<typeof tagSchema>;

const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(?::\d{1,5})?$/i;
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/** The registry is always explicit: there is no default to Docker Hub. */
export interface Repository {
  /** `host` or `host:port`. */
  readonly registry: string;
  /** The path below the registry, as in `ceph/daemon`. */
  readonly path: string;
}

const splitRepository = (text: string): Repository | undefined => {
  const slash = text.indexOf('/');
  const registry = text.slice(0, slash);
  const path = text.slice(slash + 1);
  const named = slash > 0 && (/[.:]/.test(registry) || registry === 'localhost');
  const valid = named && HOST.test(registry) && URL.canParse(`http://${registry}`);
  return valid && PATH.test(path) && text.length <= 255 ? { registry, path } : undefined;
};

/** Parses `quay.io/ceph/daemon` to a Repository. */
export const repositorySchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Repository => {
    const repository = splitRepository(dataset.value);
    if (repository !== undefined) return repository;
    addIssue({
      message: `${quoted(dataset.value)} is not an image repository with its registry, such as quay.io/ceph/daemon`,
    });
    return NEVER;
  }),
);

/** An image that can be promoted: its repository, the tag under which it was found, and its digest. */
export interface Candidate {
  readonly repository: Repository;
  readonly tag: Tag;
  readonly digest: Digest;
}

/** Parses `repository:tag@digest` to a Candidate. */
export const candidateSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Candidate => {
    const match = /^(?<name>[^@]+):(?<tag>[^:@/]+)@(?<digest>[^@]+)$/.exec(dataset.value);
    const repository = splitRepository(match?.groups?.name ?? '');
    const tag = v.safeParse(tagSchema, match?.groups?.tag);
    const digest = v.safeParse(digestSchema, match?.groups?.digest);
    if (repository !== undefined && tag.success && digest.success) {
      return { repository, tag: tag.output, digest: digest.output };
    }
    addIssue({
      message: `${quoted(dataset.value)} is not a reference such as quay.io/ceph/daemon:<tag>@sha256:<64 hex digits>`,
    });
    return NEVER;
  }),
);

export function formatRepository(repository: Repository): string {
  return `${repository.registry}/${repository.path}`;
}

/** `repository:tag@digest`. */
export function formatCandidate(candidate: Candidate): string {
  return `${formatRepository(candidate.repository)}:${candidate.tag}@${candidate.digest}`;
}

/** All names of Docker Hub's registry. */
const DOCKER_HUB = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/**
 * One name for a registry that has several, so that registries can be compared. Host names are lower-cased, every name
 * of this machine becomes `localhost`, the default ports of http and https are dropped, and Docker Hub is `docker.io`.
 */
export function canonicalRegistry(registry: string): string {
  // URL normalizes case, leading zeros of ports, and the spellings of IPv4 and IPv6 addresses.
  const { hostname, port } = new URL(`http://${registry}`);
  const host = DOCKER_HUB.includes(hostname) ? 'docker.io' : isLoopback(hostname) ? 'localhost' : hostname;
  return port === '' || port === '443' ? host : `${host}:${port}`;
}

/**
 * One name for a repository that has several, so that repositories can be compared. On Docker Hub `x` is short for
 * `library/x`.
 */
export function canonicalRepository({ registry, path }: Repository): string {
  const host = canonicalRegistry(registry);
  return host === 'docker.io' && !path.includes('/') ? `${host}/library/${path}` : `${host}/${path}`;
}

export function sameRepository(a: Repository, b: Repository): boolean {
  return canonicalRepository(a) === canonicalRepository(b);
}

/** Checks `repository:tag@digest` but keeps it as text; candidateSchema parses it. */
export const referenceSchema = v.pipe(
  v.string(),
  v.regex(/^[^@\s]+:[^:@/\s]+@sha256:[0-9a-f]{64}$/, (issue) => `${issue.received} is not a reference with its digest`),
  v.check(
    (text) => v.is(candidateSchema, text),
    'is not a reference such as quay.io/ceph/daemon:<tag>@sha256:<digest>',
  ),
);
