import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { distinctTags, type ListedTag } from '../candidate/listing.js';
import { formatRepository, type Repository } from '../candidate/reference.js';
import type { BytesResponse } from '../http/policy.js';
import { contentDigestSchema, parseMost } from './manifest.js';
import { hasTinyPages, MAX_TAG_LENGTH, MAX_TAGS } from './pages.js';
import type { Access, RegistryRequest } from './session.js';

/**
 * Quay's own listing (its API's listRepoTags). It filters, so it takes a few pages where the distribution API takes
 * hundreds, and it gives digests and times. It accepts no registry tokens, so it does not list private repositories.
 */

const PER_PAGE = 100;
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

const secondsSchema = v.fallback(v.optional(v.nullable(v.pipe(v.number(), v.minValue(0)))), undefined);

/** Times that cannot be parsed are unknown. */
const rowSchema = v.object({
  name: v.pipe(v.string(), v.maxLength(MAX_TAG_LENGTH)),
  manifest_digest: v.optional(v.nullable(contentDigestSchema)),
  start_ts: secondsSchema,
  end_ts: secondsSchema,
  expiration: v.fallback(v.optional(v.nullable(v.string())), undefined),
});
type Row = v.InferOutput<typeof rowSchema>;

const pageSchema = v.object({ tags: v.nullable(v.array(v.unknown())), has_additional: v.boolean() });

/**
 * Lists the tags that contain `filter`. Undefined if the first page shows that the registry does not offer us this
 * listing.
 *
 * @throws ServiceError if the listing fails; with `optional` after a few attempts.
 */
export async function listByQuay(
  access: Access,
  repository: Repository,
  filter: string,
  optional: boolean,
): Promise<readonly ListedTag[] | undefined> {
  const what = `${formatRepository(repository)}: Quay's tag listing`;
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: ${problem}`);
  const rows: ListedTag[] = [];
  const seen = new Set<string>();
  for (let number = 1; seen.size <= MAX_TAGS; number += 1) {
    const { request, answer } = await readPage(access, repository, filter, number, optional);
    if (isNotGiven(answer)) {
      if (number === 1) return undefined;
      throw bad(`page ${number} does not exist, although page ${number - 1} announced it`);
    }
    if (answer.status !== 200) throw await access.refusal(request, answer);
    const page = parseJson(pageSchema, answer.bytes.toString('utf8'), (problem) =>
      bad(answer.elsewhere === undefined ? problem : `${answer.elsewhere}, after a redirect, sent something else`),
    );
    const tags = parseMost(rowSchema, page.tags ?? [], bad);
    const before = seen.size;
    for (const { name } of tags) seen.add(name);
    // Paging is by offset: a push in the meantime moves rows to the next page, but not all of them.
    if (seen.size === before && (number > 1 || page.has_additional)) throw bad(`page ${number} has nothing new`);
    if (hasTinyPages(number, seen.size)) throw bad(`${number} pages have only ${seen.size} tags`);
    rows.push(...tags.filter((row) => isAlive(row, access.clock.now())).map(toTag));
    if (!page.has_additional) return distinctTags(rows);
  }
  throw new ServiceError('too-large', `${what}: more than ${MAX_TAGS} tags`);
}

/** Not Quay, a private repository, or Quay's web page instead of its API. */
function isNotGiven({ status, headers, bytes }: BytesResponse): boolean {
  const isHtml = /^text\/html\b/i.test(headers['content-type'] ?? '') || /^\s*</.test(bytes.toString('latin1', 0, 64));
  return [401, 403, 404, 405].includes(status) || (status === 200 && isHtml);
}

function isAlive({ end_ts, expiration }: Row, now: number): boolean {
  const ends = end_ts != null && end_ts > 0 ? end_ts * 1000 : Date.parse(expiration ?? '');
  return Number.isNaN(ends) || ends > now;
}

function toTag({ name, manifest_digest: digest, start_ts: startedAt }: Row): ListedTag {
  return { name, ...(digest != null && { digest }), ...(startedAt != null && { startedAt }) };
}

async function readPage(access: Access, repository: Repository, filter: string, page: number, optional: boolean) {
  const path = new URL(`/api/v1/repository/${repository.path}/tag/`, await access.originOf(repository));
  path.search = `limit=${PER_PAGE}&page=${page}&onlyActiveTags=true`;
  if (filter !== '') path.search += `&filter_tag_name=${encodeURIComponent(`like:${filter}`)}`;
  const request: RegistryRequest = {
    repository,
    kind: 'tags',
    method: 'GET',
    path,
    anonymous: true,
    optional,
    expect: 'any',
  };
  return { request, answer: await access.fetch({ ...request, maxBytes: MAX_PAGE_BYTES }) };
}
