import * as v from 'valibot';
import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { formatRepository, type Repository } from '../candidate/reference.js';
import { readSaid } from '../http/said.js';
import { parseMost } from './manifest.js';
import { hasTinyPages, MAX_TAG_LENGTH, MAX_TAGS, nextPage } from './pages.js';
import type { Access } from './session.js';

/** One answer of the distribution spec's tag listing (v1.1, "Listing Tags"). */
export interface TagPage {
  readonly names: readonly string[];
  readonly next: URL | undefined;
}

export interface DistributionListing {
  readonly names: readonly string[];
  /** True if the list has only the first page and the names that begin with the prefix. */
  readonly narrowed: boolean;
}

const MAX_PAGE_BYTES = 64 * 1024 * 1024;

/** This many ascending names in a row show that the listing is ordered. */
const ORDER_SHOWN_BY = 100;

/** Errors of a registry that does not support the requested page. */
const REFUSALS: readonly ServiceErrorKind[] = ['not-found', 'bad-answer', 'unsupported'];

/** An empty list in Go is null. An answer without `tags` is not a page. */
const pageSchema = v.object({ tags: v.nullable(v.array(v.unknown())) });
const nameSchema = v.pipe(v.string(), v.maxLength(MAX_TAG_LENGTH));

/**
 * Lists all tags. With a prefix, and if the registry is seen to list in lexical order, lists only the first page and
 * all tags that begin with the prefix. The registry decides the size of a page and the address of the next.
 */
export async function listByDistribution(
  access: Access,
  repository: Repository,
  firstPage: TagPage | undefined,
  prefix: string | undefined,
): Promise<DistributionListing> {
  const first = firstPage ?? (await readPage(access, repository, undefined));
  const range = prefix === undefined ? undefined : await readRange(access, repository, first, prefix);
  if (range !== undefined) return { names: range, narrowed: true };
  const names = new Set<string>();
  for await (const page of pagesFrom(access, repository, first)) for (const name of page) names.add(name);
  if (names.size === 0) throw new ServiceError('not-found', `${whatOf(repository)}: there are no tags`);
  return { names: [...names], narrowed: false };
}

/**
 * Reads the first page, then jumps to the names that begin with the prefix. Undefined unless the order is proven: the
 * first page must ascend, and its Link must continue from its last name; asked to continue from the prefix, the
 * registry must answer with names above it; and every page must ascend from the end of the one before. In a listing
 * that passes this, no name with the prefix comes before the prefix itself.
 */
async function readRange(
  access: Access,
  repository: Repository,
  first: TagPage,
  prefix: string,
): Promise<readonly string[] | undefined> {
  const { names, next } = first;
  const last = names.at(-1);
  const goesOnByName = last !== undefined && next?.searchParams.get('last') === last;
  if (!goesOnByName || names.length < ORDER_SHOWN_BY || !ascends(names)) return undefined;
  const isBefore = last < prefix;
  const start = isBefore ? await pageAfter(access, repository, next, prefix) : first;
  if (start === undefined || start.names.length === 0) return undefined;
  const found = isBefore ? [...names] : [];
  let previous = isBefore ? prefix : '';
  for await (const page of pagesFrom(access, repository, start)) {
    if (!ascends([previous, ...page])) return undefined;
    found.push(...page);
    previous = page.at(-1) ?? previous;
    if (previous > `${prefix}\uffff`) break;
  }
  return found;
}

/** By code units, as Go sorts. Each name must occur once. */
function ascends(names: readonly string[]): boolean {
  return names.every((name, index) => index === 0 || name > (names[index - 1] ?? ''));
}

/** The page after a name, which need not be a tag, or the first page; undefined if the registry refuses. */
async function pageAfter(
  access: Access,
  repository: Repository,
  next: URL,
  name: string | undefined,
  size?: number,
): Promise<TagPage | undefined> {
  const url = new URL(next);
  if (name === undefined) url.searchParams.delete('last');
  else url.searchParams.set('last', name);
  if (size !== undefined) url.searchParams.set('n', String(size));
  try {
    return await readPage(access, repository, url);
  } catch (error) {
    const isRefusal = error instanceof ServiceError && REFUSALS.includes(error.kind);
    if (isRefusal) return undefined;
    throw error;
  }
}

/** The names of a page and of all following pages. Throws if a page cannot be the continuation of the listing. */
async function* pagesFrom(access: Access, repository: Repository, first: TagPage): AsyncGenerator<readonly string[]> {
  const bad = (problem: string) => new ServiceError('bad-answer', `${whatOf(repository)}: ${problem}`);
  const names = new Set<string>();
  let page = first;
  /** Some registries repeat the name that a page continues from, which may leave nothing else for the last page. */
  let previous: string | undefined;
  for (let count = 1; ; count += 1) {
    const before = names.size;
    for (const name of page.names) names.add(name);
    if (names.size > MAX_TAGS) {
      throw new ServiceError('too-large', `${whatOf(repository)}: more than ${MAX_TAGS} tags`);
    }
    const isRepeat = page.next === undefined && page.names.length === 1 && page.names[0] === previous;
    if (page.names.length > 0 && names.size === before && !isRepeat) throw bad(`page ${count} has nothing new`);
    previous = page.names.at(-1);
    if (hasTinyPages(count, names.size)) throw bad(`${count} pages have only ${names.size} tags`);
    yield page.names;
    if (page.next === undefined) return;
    if (page.names.length === 0) throw bad(`page ${count} is empty, but links to another`);
    const { next } = page;
    page = await readPage(access, repository, next);
    if (page.names.length === 0 && page.next === undefined && !(await isEnd(access, repository, next, [...names]))) {
      throw bad(`page ${count + 1} is empty, and nothing shows that the list ends there`);
    }
  }
}

/**
 * Checks that an empty page really is the end. After a full last page, distribution links to an empty one, but a page
 * that is empty for another reason would cut the list short. Asked for the two names after the last but one, a registry
 * must return the last one and no more. An empty page after an opaque cursor is read once more, and then trusted.
 */
async function isEnd(access: Access, repository: Repository, next: URL, names: readonly string[]): Promise<boolean> {
  const [last, lastButOne] = [names.at(-1), names.at(-2)];
  if (next.searchParams.get('last') !== last) {
    const again = await readPage(access, repository, next);
    return again.names.length === 0 && again.next === undefined;
  }
  const page = await pageAfter(access, repository, next, lastButOne, 2);
  return page?.names.length === 1 && page.names[0] === last;
}

export async function readPage(access: Access, repository: Repository, url: URL | undefined): Promise<TagPage>;
/** Returns undefined instead of logging in if the registry answers 401. */
export async function readPage(
  access: Access,
  repository: Repository,
  url: URL | undefined,
  challenged: 'return 401',
): Promise<TagPage | undefined>;
export async function readPage(
  access: Access,
  repository: Repository,
  url: URL | undefined,
  challenged?: 'return 401',
): Promise<TagPage | undefined> {
  const what = whatOf(repository);
  const { status, headers, bytes, elsewhere } = await access.fetch({
    repository,
    kind: 'tags',
    method: 'GET',
    path: url ?? 'tags/list',
    ...(challenged === undefined ? { expect: [200] } : { expect: [200, 401], challenged: 'return' }),
    maxBytes: MAX_PAGE_BYTES,
  });
  if (status === 401) return undefined;
  const bad = (problem: string) => {
    if (elsewhere !== undefined)
      return new ServiceError('bad-answer', `${what}: ${elsewhere}, after a redirect, sent something else`);
    return new ServiceError('bad-answer', `${what}: ${readSaid({ headers, body: bytes }).text || problem}`);
  };
  const { tags } = parseJson(pageSchema, bytes.toString('utf8'), bad);
  const here = url ?? new URL(`/v2/${repository.path}/tags/list`, await access.originOf(repository));
  return {
    names: parseMost(nameSchema, tags ?? [], (problem) => bad(`tags.0: ${problem}`)),
    next: nextPage(headers, here, what),
  };
}

function whatOf(repository: Repository): string {
  return `${formatRepository(repository)}: tag listing`;
}
