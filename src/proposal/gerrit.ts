import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Http } from '../http/policy.js';
import type { LedgerPosition } from '../ledger/record.js';
import type { Review } from './decide-review.js';
import { formatTrailer } from './position.js';
import { sendJson } from './rest.js';

/** The changes of one topic into one branch, on Gerrit. A push makes them; its REST API shows them. */
export interface Gerrit {
  /** The topic of all our changes. It identifies them as the branch does for pull requests. */
  readonly topic: string;
  /** True if there is a login, which abandoning needs. */
  readonly canAbandon: boolean;
  /** Those with our topic or this Change-Id, newest first; undefined, with a warning, if Gerrit does not show them. */
  list(changeId: string): Promise<Review[] | undefined>;
  abandon(review: Review, own: LedgerPosition | undefined): Promise<void>;
}

export interface GerritOptions {
  readonly http: Http;
  readonly log: Log;
  /** Gerrit's address, such as `https://review.example`. */
  readonly web: URL;
  /** An account and its HTTP password; undefined for anonymous access. */
  readonly login: { readonly user: string; readonly password: string } | undefined;
  /** The repository's name on Gerrit. */
  readonly project: string;
  readonly base: string;
  readonly topic: string;
}

const infoSchema = v.object({
  _number: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  change_id: v.pipe(v.string(), v.regex(/^I[0-9a-f]{40}$/)),
  project: v.string(),
  branch: v.string(),
  status: v.picklist(['NEW', 'MERGED', 'ABANDONED']),
  current_revision: v.string(),
  revisions: v.record(
    v.string(),
    v.object({
      ref: v.pipe(v.string(), v.regex(/^refs\/changes\/\d\d\/\d+\/\d+$/)),
      commit: v.object({ message: v.string(), committer: v.object({ name: v.string(), email: v.string() }) }),
    }),
  ),
  messages: v.optional(v.array(v.object({ message: v.string() })), []),
});
type Info = v.InferOutput<typeof infoSchema>;

const STATES = { NEW: 'open', MERGED: 'merged', ABANDONED: 'closed' } as const;
/** At most this many changes are read, the newest. Our open ones are among them. */
const MAX_CHANGES = 50;
/** Shows a later run that no person abandoned the change. */
const ABANDONED_BY_US = 'Abandoned, since the base branch has what is promoted.';

/**
 * Gerrit's REST API (its documentation, rest-api-changes: "Query Changes" and "Abandon Change").
 *
 * @throws ServiceError from `abandon` if Gerrit refuses.
 */
export function createGerrit({ http, log, web, login, project, base, topic }: GerritOptions): Gerrit {
  const root = `${web.href.replace(/\/+$/, '')}/`;
  const headers = {
    accept: 'application/json',
    ...(login !== undefined && {
      authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`,
    }),
  };
  const changes = `${root}${login === undefined ? '' : 'a/'}changes/`;

  const toReview = ({ _number: number, change_id: changeId, status, messages, ...info }: Info): Review => {
    const newest = info.revisions[info.current_revision];
    if (newest === undefined) throw new ServiceError('bad-answer', `${root}: change ${number} has no newest patch set`);
    const { name, email } = newest.commit.committer;
    const closing = messages.findLast(({ message }) => message.startsWith('Abandoned'))?.message;
    return {
      number,
      url: `${root}c/${project}/+/${number}`,
      state: STATES[status],
      changeId,
      ref: newest.ref,
      committer: `${name} <${email}>`,
      message: newest.commit.message,
      closing: closing?.includes(ABANDONED_BY_US) ? closing : undefined,
    };
  };

  return {
    topic,
    canAbandon: login !== undefined,
    async list(changeId) {
      const url = new URL(changes);
      url.searchParams.set('q', `project:"${project}" branch:"${base}" (topic:"${topic}" OR change:${changeId})`);
      for (const option of ['CURRENT_REVISION', 'CURRENT_COMMIT', 'MESSAGES']) url.searchParams.append('o', option);
      url.searchParams.set('n', String(MAX_CHANGES));
      try {
        const request = { method: 'GET', url, headers, isOptional: true } as const;
        const found = await sendJson(http, v.array(infoSchema), request, 'gerrit');
        return found
          .filter((info) => info.project === project && info.branch === base)
          .map(toReview)
          .sort((a, b) => b.number - a.number);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        log.warning(`the open change is unknown, since Gerrit does not show its changes: ${error.message}`);
        return undefined;
      }
    },
    async abandon({ changeId }, own) {
      const id = [project, base, changeId].map(encodeURIComponent).join('~');
      const url = new URL(`${changes}${id}/abandon`);
      const schema = v.object({ status: v.literal('ABANDONED') });
      const message = own === undefined ? ABANDONED_BY_US : `${ABANDONED_BY_US}\n\n${formatTrailer(own)}`;
      await sendJson(http, schema, { method: 'POST', url, headers, body: { message } }, 'gerrit');
    },
  };
}
