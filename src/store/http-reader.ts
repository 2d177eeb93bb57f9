import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { type Tag, tagSchema } from '../candidate/reference.js';
import { describe, type Http } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';
import { MAX_RECORD } from '../ledger/codec.js';
import { recordPath } from '../ledger/paths.js';
import { candidateFileName, MAX_CANDIDATE_FILE, parseCandidateFile } from './candidate-file.js';
import { lastDecisionPath, parseLastDecision } from './last-decision.js';
import type { StoreReader } from './reader.js';

/** Bytes; a tag has 128 at most. */
const MAX_TAG_FILE = 1024;

/** Reads a store over plain HTTP, file by file: a web server need not list directories. */
export function httpReader(http: Http, directory: URL): StoreReader {
  const read = async (name: string, maxBytes: number) => {
    const url = fileUrl(directory, name);
    return { where: url.href, text: await get(http, url, maxBytes) };
  };
  return {
    where: directory.href,

    async readLabel(label) {
      const { where, text } = await read(label, MAX_TAG_FILE);
      return text === undefined ? undefined : parseTagFile(text, where);
    },

    async readCandidateFile(tag) {
      const { where, text } = await read(candidateFileName(tag), MAX_CANDIDATE_FILE);
      return text === undefined ? undefined : parseCandidateFile(text, tag, where);
    },

    listRecords: async () => undefined,

    async readRecord(label, n) {
      const { text } = await read(recordPath(label, n), MAX_RECORD);
      return text === undefined ? undefined : Buffer.from(text);
    },

    async readLastDecision(label) {
      const { where, text } = await read(lastDecisionPath(label), MAX_RECORD);
      return text === undefined ? undefined : parseLastDecision(text, where);
    },
  };
}

function parseTagFile(text: string, where: string): Tag {
  const tag = v.safeParse(tagSchema, text.replace(/\n$/, ''));
  if (tag.success) return tag.output;
  throw new ServiceError('bad-answer', `${where}: holds ${JSON.stringify(oneLine(text, 80))}, which is not a tag`);
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
