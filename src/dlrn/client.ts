import * as v from 'valibot';
import type { Clock } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { createDlrnApi, type DlrnApiParts, KNOWN_HASHES } from './api.js';
import { aggregateHashSchema, type Subject } from './hashes.js';
import { readJobVotes } from './job-votes.js';
import { postReport, type Report } from './post-report.js';
import { readVotes, type Vote } from './votes.js';

/** The DLRN API (dlrn.readthedocs.io, "DLRN API"), as both the released server and the one in git take it. */
export interface Dlrn {
  /** Reports a result, unless the newest vote says the same; true where this call has posted it. */
  reportResult(report: Report): Promise<boolean>;
  /** All votes on a hash, in no order that means anything; none for an aggregate hash that is unknown. */
  votes(subject: Subject): Promise<Vote[]>;
  /** All votes of these jobs on aggregate hashes; undefined where the server has no GraphQL that can tell. */
  jobVotes(jobIds: readonly string[]): Promise<Vote[] | undefined>;
  /** Throws where DLRN does not know what votes are on, and so would take none. */
  checkKnown(subject: Subject): Promise<void>;
  /** One page of the promotions to a label, newest first; `offset` is how many of them to skip. */
  promotions(label: string, offset: number): Promise<Promotion[]>;
  /** What the server says of itself. */
  health(): Promise<string>;
  /** Throws where the credentials are refused; changes nothing. */
  checkCredentials(): Promise<void>;
}

export interface DlrnParts extends DlrnApiParts {
  readonly clock: Clock;
  readonly log: Log;
}

/** Of a batch of commits that is promoted at once only one row carries the aggregate hash. */
const promotionSchema = v.object({ aggregate_hash: v.nullable(aggregateHashSchema), promote_name: v.string() });
export type Promotion = v.InferOutput<typeof promotionSchema>;

/** The most rows that the server gives at once. */
const PROMOTIONS_PAGE = 100;

/** Only says that an API answers: an API that is not DLRN's shows when its votes are read. */
const healthSchema = v.object({ result: v.optional(v.string(), 'it answers') });

export function createDlrn({ clock, log, ...parts }: DlrnParts): Dlrn {
  const api = createDlrnApi(parts);
  const votes = (subject: Subject) => readVotes(api, subject);
  const promotions = (query: Readonly<Record<string, string>>) =>
    api.ask(v.array(promotionSchema), 'promotions', query);
  return {
    votes,
    jobVotes: (jobs) => readJobVotes(api, jobs),
    reportResult: (report) => postReport({ api, username: parts.credentials?.username, clock, log }, report),
    async checkKnown(subject) {
      if (subject.kind === 'commit') {
        await votes(subject);
      } else if ((await promotions({ aggregate_hash: subject.hash, limit: '1' })).length === 0) {
        const what = `DLRN does not know aggregate hash ${subject.hash}; ${KNOWN_HASHES}`;
        throw new ServiceError('not-found', what, { hint: 'dlrn-hash' });
      }
    },
    promotions: (label, offset) =>
      promotions({ promote_name: label, limit: String(PROMOTIONS_PAGE), offset: String(offset) }),
    health: async () => (await api.ask(healthSchema, 'health')).result,
    async checkCredentials() {
      await api.ask(healthSchema, 'health', {}, 'POST');
    },
  };
}
