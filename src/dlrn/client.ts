import * as v from 'valibot';
import type { Clock } from '../base/clock.js';
import { oneLine, ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { createDlrnApi, type DlrnApiParts, KNOWN_HASHES } from './api.js';
import { aggregateHashSchema, type Subject } from './hashes.js';
import { readJobVotes } from './job-votes.js';
import { postReport, type Report } from './post-report.js';
import { readVotes, type Vote } from './votes.js';

/**
 * The DLRN API (dlrn.readthedocs.io, "DLRN API"), in the form that both the released server and the one in git accept.
 */
export interface Dlrn {
  /** Reports a result, unless the newest vote says the same. True if this call has posted it. */
  reportResult(report: Report): Promise<boolean>;
  /** All votes on a hash, in no meaningful order; none for an unknown aggregate hash. */
  votes(subject: Subject): Promise<Vote[]>;
  /** All votes of these jobs on aggregate hashes; undefined if the server has no suitable GraphQL. */
  jobVotes(jobIds: readonly string[]): Promise<Vote[] | undefined>;
  /** Throws if DLRN does not know the subject and so would accept no vote on it. */
  checkKnown(subject: Subject): Promise<void>;
  /** One page of the promotions to a label (undefined: any), newest first. `offset` is the number of rows to skip. */
  promotions(label: string | undefined, offset: number): Promise<Promotion[]>;
  /** The server's own report of its health, as one line. */
  health(): Promise<string>;
  /** Throws if the credentials are refused. Changes nothing. */
  checkCredentials(): Promise<void>;
}

export interface DlrnParts extends DlrnApiParts {
  readonly clock: Clock;
  readonly log: Log;
}

/** If several commits are promoted in one batch, only one row carries the aggregate hash. */
const promotionSchema = v.object({ aggregate_hash: v.nullable(aggregateHashSchema), promote_name: v.string() });
export type Promotion = v.InferOutput<typeof promotionSchema>;

/** The most rows that the server returns at once. */
const PROMOTIONS_PAGE = 100;

/** Only shows that some API answers. Reading the votes reveals an API that is not DLRN's. */
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
      promotions({
        ...(label !== undefined && { promote_name: label }),
        limit: String(PROMOTIONS_PAGE),
        offset: String(offset),
      }),
    health: async () => oneLine((await api.ask(healthSchema, 'health')).result, 200),
    async checkCredentials() {
      await api.ask(healthSchema, 'health', {}, 'POST');
    },
  };
}
