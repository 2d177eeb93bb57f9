import * as v from 'valibot';
import type { Http } from '../http/policy.js';
import type { HttpRequest } from '../http/transport.js';
import type { Change, ChangeText } from './decide.js';
import { sendJson } from './rest.js';

/** The changes of one branch into one base, on a forge. */
export interface Forge {
  /** Newest first. */
  list(): Promise<Change[]>;
  open(text: ChangeText): Promise<Change>;
  update(change: Change, text: ChangeText): Promise<Change>;
  close(change: Change, body: string): Promise<void>;
}

export interface ForgeOptions {
  readonly http: Http;
  readonly provider: 'github' | 'gitea';
  /** The API's address, such as `https://api.github.com` or `https://gitea.example/api/v1`. */
  readonly api: URL;
  readonly token: string;
  readonly owner: string;
  readonly name: string;
  readonly base: string;
  readonly branch: string;
}

const pullSchema = v.object({
  number: v.pipe(v.number(), v.safeInteger()),
  html_url: v.pipe(v.string(), v.url()),
  state: v.picklist(['open', 'closed']),
  /** GitHub has only the time of the merge, Gitea also a flag. */
  merged_at: v.nullish(v.string()),
  merged: v.nullish(v.boolean()),
  title: v.string(),
  body: v.nullish(v.string(), ''),
  head: v.object({ ref: v.string(), repo: v.nullish(v.object({ full_name: v.string() })) }),
  base: v.object({ ref: v.string() }),
});
type Pull = v.InferOutput<typeof pullSchema>;

const PAGE = 50;
/** The newest 500 changes of a repository. One that is older than these was closed long ago. */
const MAX_PAGES = 10;

/**
 * Pull requests by the REST API of GitHub (docs.github.com/rest/pulls, version 2022-11-28) or of Gitea and Forgejo
 * (`/api/v1`, operations repoListPullRequests, repoCreatePullRequest, repoEditPullRequest).
 *
 * @throws ServiceError if the forge refuses or cannot be read. An answer from another host is never quoted.
 */
export function createForge(options: ForgeOptions): Forge {
  const { http, provider, api, token, owner, name, base, branch } = options;
  const headers =
    provider === 'github'
      ? {
          accept: 'application/vnd.github+json',
          authorization: `Bearer ${token}`,
          'x-github-api-version': '2022-11-28',
        }
      : { accept: 'application/json', authorization: `token ${token}` };
  const pulls = `repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}/pulls`;

  function send<S extends v.GenericSchema>(
    schema: S,
    method: HttpRequest['method'],
    path: string,
    { query = {}, body }: { query?: Record<string, string>; body?: object } = {},
  ): Promise<v.InferOutput<S>> {
    const url = new URL(`${api.href.replace(/\/+$/, '')}/${path}`);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    return sendJson(http, schema, { method, url, headers, body }, provider);
  }

  const isOurs = ({ head, base: into }: Pull) =>
    head.ref === branch && into.ref === base && head.repo?.full_name.toLowerCase() === `${owner}/${name}`.toLowerCase();

  return {
    async list() {
      // GitHub filters by branch; Gitea does not.
      const filter =
        provider === 'github'
          ? {
              state: 'all',
              base,
              head: `${owner}:${branch}`,
              sort: 'created',
              direction: 'desc',
              per_page: String(PAGE),
            }
          : { state: 'all', sort: 'recentupdate', limit: String(PAGE) };
      const found: Pull[] = [];
      for (let page = 1; page <= MAX_PAGES; page += 1) {
        const answer = await send(v.array(pullSchema), 'GET', pulls, { query: { ...filter, page: String(page) } });
        found.push(...answer.filter(isOurs));
        if (answer.length === 0 || (provider === 'github' && answer.length < PAGE)) break;
      }
      return found.sort((a, b) => b.number - a.number).map(toChange);
    },
    open: async ({ title, body }) =>
      toChange(await send(pullSchema, 'POST', pulls, { body: { title, body, head: branch, base } })),
    update: async ({ number }, { title, body }) =>
      toChange(await send(pullSchema, 'PATCH', `${pulls}/${number}`, { body: { title, body } })),
    async close({ number }, body) {
      await send(pullSchema, 'PATCH', `${pulls}/${number}`, { body: { body, state: 'closed' } });
    },
  };
}

function toChange({ number, html_url: url, state, merged, merged_at: mergedAt, title, body }: Pull): Change {
  const isMerged = merged === true || typeof mergedAt === 'string';
  return { number, url, state: isMerged ? 'merged' : state, title, body: body ?? '' };
}
