import { type FindOptions, type Found, findStableTag } from '../../src/registry/find-stable-tag.js';
import { policy } from '../candidate/policies.js';
import { client, createLines, repository } from './support.js';

/** Longer than any test runs. */
export const NO_LIMIT_MS = 3_600_000;

export type Asked = Partial<Omit<FindOptions, 'policy'>> & { readonly policy?: Parameters<typeof policy>[0] };

/** What find-stable-tag finds at an image, by default pacific's newest. */
export function find(image: string, asked: Asked = {}): Promise<Found> {
  return findStableTag({
    registry: client(),
    repository: repository(image),
    listing: 'auto',
    knownTags: 0,
    limitMs: NO_LIMIT_MS,
    log: createLines(),
    ...asked,
    policy: policy({ flavor: 'pacific', ...asked.policy }),
  });
}
