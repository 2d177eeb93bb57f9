import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { candidateSchema, type Digest, type Repository, type Tag, tagSchema } from '../candidate/reference.js';
import { describe, type Http } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';
import type { LedgerReader } from '../ledger/chain.js';
import type { Label } from '../ledger/names.js';
import { MAX_RECORD, recordPath } from '../ledger/record.js';
import { type CandidateFile, candidateFileName, MAX_CANDIDATE_FILE, parseCandidateFile } from './candidate-file.js';
import { type LastDecision, lastDecisionPath, parseLastDecision } from './last-decision.js';

/** The image server as everyone reads it: plain files over HTTP, no listings. */

const MAX_TAG_FILE = 1024;

/** What a label names: an image by its digest, or only by a tag of RDO's. */
export interface ConsumedCandidate {
  readonly repository: Repository;
  readonly tag: Tag;
  /** Undefined where the tag has no candidate file. */
  readonly digest: Digest | undefined;
  /** 0 where nobody knows. */
  readonly tagsRead: number;
}

export interface ReadCandidateOptions {
  readonly http: Http;
  /** The directory of the label. */
  readonly url: URL;
  readonly label: Label;
  /** The repository of a tag that has no candidate file; undefined: such a tag is refused. */
  readonly unpinnedRepository: Repository | undefined;
}

/** Reads which image a label names. It may move between the two requests: what it named stays as it is. */
export async function readCandidate(options: ReadCandidateOptions): Promise<ConsumedCandidate> {
  const { http, url, label, unpinnedRepository: repository } = options;
  const tag = await readLabelledTag(http, url, label);
  if (tag === undefined) {
    throw new ServiceError('not-found', `${fileUrl(url, label)}: no such label; see inputs url and label`);
  }
  const file = await readCandidateFile(http, url, tag);
  if (file !== undefined) return { ...v.parse(candidateSchema, file.reference), tagsRead: file['tags-read'] };
  if (repository === undefined) {
    throw new ServiceError(
      'not-found',
      `${fileUrl(url, candidateFileName(tag))}: not found, so nothing says which digest ${tag} is; ` +
        'input allow-unpinned takes it without',
    );
  }
  return { repository, tag, digest: undefined, tagsRead: 0 };
}

/** The tag that a label names; undefined where there is no label. */
export async function readLabelledTag(http: Http, directory: URL, label: Label): Promise<Tag | undefined> {
  const url = fileUrl(directory, label);
  const text = await get(http, url, MAX_TAG_FILE);
  if (text === undefined) return undefined;
  const tag = v.safeParse(tagSchema, text.replace(/\n$/, ''));
  if (tag.success) return tag.output;
  throw new ServiceError('bad-answer', `${url}: holds ${JSON.stringify(oneLine(text, 80))}, which is not a tag`);
}

/** A tag's candidate file; undefined where it has none, as RDO's have. */
export async function readCandidateFile(http: Http, directory: URL, tag: Tag): Promise<CandidateFile | undefined> {
  const url = fileUrl(directory, candidateFileName(tag));
  const json = await get(http, url, MAX_CANDIDATE_FILE);
  return json === undefined ? undefined : parseCandidateFile(json, tag, url.href);
}

/** What the newest run decided about a label; undefined where no run has said. */
export async function readLastDecision(http: Http, directory: URL, label: Label): Promise<LastDecision | undefined> {
  const url = fileUrl(directory, lastDecisionPath(label));
  const json = await get(http, url, MAX_RECORD);
  return json === undefined ? undefined : parseLastDecision(json, url.href);
}

/** A label's ledger, as anyone reads it. */
export function httpLedger(http: Http, url: URL, label: Label): LedgerReader {
  return {
    read: async (n) => {
      const text = await get(http, fileUrl(url, recordPath(label, n)), MAX_RECORD);
      return text === undefined ? undefined : Buffer.from(text);
    },
  };
}

function fileUrl(directory: URL, name: string): URL {
  const url = new URL(directory);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${name}`;
  return url;
}

/** A file's text; undefined where the server says that there is none. */
async function get(http: Http, url: URL, maxBytes: number): Promise<string | undefined> {
  const request = { method: 'GET', url } as const;
  const answer = await http.sendForText(request, { idempotent: true, maxBytes });
  if (answer.status === 200) return answer.text;
  if (answer.status === 404) return undefined;
  throw new ServiceError(kindOfStatus(answer.status), `${describe(request)}: answered ${answer.status}`);
}
