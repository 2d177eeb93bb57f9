import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { type Tag, tagSchema } from '../candidate/reference.js';
import { describe, type Http, type TextResponse } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';
import { MAX_RECORD } from '../ledger/codec.js';
import { recordPath } from '../ledger/paths.js';
import { candidateFileName, MAX_CANDIDATE_FILE, parseCandidateFile } from './candidate-file.js';
import { lastDecisionPath, parseLastDecision } from './last-decision.js';
import type { StoreReader } from './reader.js';

/** In bytes. A tag has at most 128. */
const MAX_TAG_FILE = 1024;

/** Reads a store over plain HTTP, file by file: a web server need not list directories. */
export function httpReader(http: Http, directory: URL): StoreReader {
  const read = async <T>(name: string, maxBytes: number, parse: (text: string, where: string) => T) => {
    const url = fileUrl(directory, name);
    const file = await get(http, url, maxBytes);
    return file && parseFile(file, url, parse);
  };
  return {
    where: directory.href,
    readLabel: (label) => read(label, MAX_TAG_FILE, parseTagFile),
    readCandidateFile: (tag) =>
      read(candidateFileName(tag), MAX_CANDIDATE_FILE, (text, where) => parseCandidateFile(text, tag, where)),
    listRecords: async () => undefined,
    readRecord: (label, n) => read(recordPath(label, n), MAX_RECORD, (text) => Buffer.from(text)),
    readLastDecision: (label) => read(lastDecisionPath(label), MAX_RECORD, parseLastDecision),
  };
}

/** Parses a file. If it came from another host after a redirect and is not what was expected, it is not quoted. */
function parseFile<T>({ text, elsewhere }: TextResponse, url: URL, parse: (text: string, where: string) => T): T {
  if (elsewhere === undefined) return parse(text, url.href);
  const wrong = new ServiceError('bad-answer', `${url.href}: ${elsewhere}, after a redirect, sent something else`);
  try {
    const parsed = parse(text, url.href);
    // Records are parsed later, by code that knows their place in the ledger.
    if (Buffer.isBuffer(parsed)) v.parse(v.object({ n: v.number() }), JSON.parse(text));
    return parsed;
  } catch {
    throw wrong;
  }
}

function parseTagFile(text: string, where: string): Tag {
  const tag = v.safeParse(tagSchema, text.replace(/\n$/, ''));
  if (tag.success) return tag.output;
  // RDO's artifact_promoter leaves an empty file if it is given no content. Our own tools never do.
  if (text === '') {
    throw new ServiceError('bad-answer', `${where}: is empty instead of naming a tag: publish the tag again`);
  }
  throw new ServiceError('bad-answer', `${where}: contains ${JSON.stringify(oneLine(text, 80))}, which is not a tag`);
}

function fileUrl(directory: URL, name: string): URL {
  const url = new URL(directory);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${name}`;
  return url;
}

/** Reads a file; undefined if the server says that there is none. */
async function get(http: Http, url: URL, maxBytes: number): Promise<TextResponse | undefined> {
  const request = { method: 'GET', url } as const;
  const answer = await http.sendForText(request, { idempotent: true, maxBytes, hint: 'url' });
  if (answer.status === 200) return answer;
  if (answer.status === 404) return undefined;
  const way =
    answer.status === 403
      ? ': may the web server read the file, and does it follow links that another account owns?'
      : '';
  throw new ServiceError(kindOfStatus(answer.status), `${describe(request)}: answered ${answer.status}${way}`);
}
