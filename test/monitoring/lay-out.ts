import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { formatRecord } from '../../src/ledger/codec.js';
import type { Branch, BranchHistory } from '../../src/monitoring/read-branch.js';
import { httpReader } from '../../src/store/http-reader.js';
import { lastDecisionPath } from '../../src/store/last-decision.js';
import type { SftpStoreOptions } from '../../src/store/sftp/sftp-store.js';
import { http, withServer } from '../store/fixture.js';
import { SETTINGS } from './fixture.js';

/** Writes a branch to a directory of the image server, as its writers do. */
export async function layOut(directory: string, history: Partial<BranchHistory>): Promise<void> {
  const {
    records = [],
    candidateFiles = [],
    candidateTag,
    labelTag,
    lastDecision,
    previousTag = records[0]?.previous?.tag,
  } = history;
  const { label, candidateLabel } = SETTINGS;
  const put = (name: string, text: string | Buffer) => writeFile(path.join(directory, name), text);
  await mkdir(path.join(directory, 'ledger', label), { recursive: true });
  for (const record of records) await put(`ledger/${label}/${record.n}.json`, formatRecord(record, undefined));
  for (const [tag, file] of candidateFiles) {
    await put(tag, tag);
    await put(`${tag}.json`, JSON.stringify(file));
  }
  if (labelTag !== undefined) await symlink(labelTag, path.join(directory, label));
  if (previousTag !== undefined) {
    const link = path.join(directory, `previous-${label}`);
    await rm(link, { force: true });
    await symlink(previousTag, link);
  }
  if (candidateTag !== undefined) await symlink(candidateTag, path.join(directory, candidateLabel));
  if (lastDecision !== undefined) await put(lastDecisionPath(label), JSON.stringify(lastDecision));
}

/** A branch that is read over HTTP, without votes. */
export function overHttp({ url }: { readonly url: string }): Branch {
  return {
    branch: 'master',
    url,
    owner: undefined,
    changes: [],
    withStore: (read) => read(httpReader(http, new URL(url))),
    dlrn: undefined,
  };
}

/** The same over SFTP. */
export function overSftp({ server }: { readonly server: string }, changes?: Partial<SftpStoreOptions>): Branch {
  const withStore: Branch['withStore'] = (read) => withServer(server, read, changes);
  return { branch: 'master', url: server, owner: undefined, changes: [], withStore, dlrn: undefined };
}
