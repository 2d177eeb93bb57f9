import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { distinctTags, type ListedTag } from '../candidate/listing.js';
import { digestSchema, formatRepository, type Repository } from '../candidate/reference.js';
import { MAX_TAG_LENGTH, MAX_TAGS } from './pages.js';
import type { Access } from './session.js';

/**
 * Quay's own listing (its API's listRepoTags): it filters, so that it takes a few pages where the distribution API takes
 * hundreds, and it tells digests and times. It takes no registry tokens: who is not public has only the other listing.
 */

const PER_PAGE = 100;
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

const secondsSchema = v.optional(v.nullable(v.pipe(v.number(), v.minValue(0))));

const pageSchema = v.object({
  tags: v.array(
    v.object({
      name: v.pipe(v.string(), v.maxLength(MAX_TAG_LENGTH)),
      manifest_digest: v.optional(digestSchema),
      start_ts: secondsSchema,
      end_ts: secondsSchema,
      expiration: v.optional(v.nullable(v.string())),
    }),
  ),
  has_additional: v.boolean(),
});

/** The tags that contain `filter`; undefined where there is no such listing for us. */
export async function listByQuay(
  access: Access,
  repository: Repository,
  filter: string,
): Promise<readonly ListedTag[] | undefined> {
  const what = `${formatRepository(repository)}: Quay's tag listing`;
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: ${problem}`);
  const rows: ListedTag[] = [];
  const seen = new Set<string>();
  for (let number = 1; seen.size <= MAX_TAGS; number += 1) {
    const text = await readPage(access, repository, filter, number);
    if (text === undefined) {
      if (number === 1) return undefined;
      throw bad(`page ${number} is not there, and page ${number - 1} said that it is`);
    }
    const page = parseJson(pageSchema, text, bad);
    const before = seen.size;
    for (const { name } of page.tags) seen.add(name);
    // Paging is by offset: a push in the meantime moves rows to the next page, but not all of them.
    if (seen.size === before && (number > 1 || page.has_additional)) throw bad(`page ${number} brings nothing new`);
    rows.push(...page.tags.filter((row) => isAlive(row, access.clock.now())).map(toTag));
    if (!page.has_additional) return distinctTags(rows);
  }
  throw new ServiceError('too-large', `${what}: more than ${MAX_TAGS} tags`);
}

type Row = v.InferOutput<typeof pageSchema>['tags'][number];

function isAlive({ end_ts, expiration }: Row, now: number): boolean {
  const ends = end_ts != null && end_ts > 0 ? end_ts * 1000 : Date.parse(expiration ?? '');
  return Number.isNaN(ends) || ends > now;
}

function toTag({ name, manifest_digest: digest, start_ts: startedAt }: Row): ListedTag {
  return { name, ...(digest !== undefined && { digest }), ...(startedAt != null && { startedAt }) };
}

async function readPage(
  access: Access,
  repository: Repository,
  filter: string,
  page: number,
): Promise<string | undefined> {
  const path = new URL(`/api/v1/repository/${repository.path}/tag/`, await access.originOf(repository));
  path.search = `limit=${PER_PAGE}&page=${page}&onlyActiveTags=true`;
  if (filter !== '') path.search += `&filter_tag_name=${encodeURIComponent(`like:${filter}`)}`;
  const { status, headers, bytes } = await access.fetch({
    repository,
    kind: 'tags',
    method: 'GET',
    path,
    anonymous: true,
    expect: [200, 401, 403, 404, 405],
    maxBytes: MAX_PAGE_BYTES,
  });
  const isHtml = /^text\/html\b/i.test(headers['content-type'] ?? '') || /^\s*</.test(bytes.toString('latin1', 0, 64));
  return status !== 200 || isHtml ? undefined : bytes.toString('utf8');
}
