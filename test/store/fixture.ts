import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { systemClock } from '../../src/base/clock.js';
import { ServiceError } from '../../src/base/errors.js';
import type { Log } from '../../src/base/log.js';
import { type Candidate, candidateSchema } from '../../src/candidate/reference.js';
import { actionsTransport } from '../../src/http/actions-transport.js';
import { createHttp, defaultPolicy } from '../../src/http/policy.js';
import { candidateLabelSchema, type Label, labelSchema } from '../../src/ledger/names.js';
import type { CandidateFile } from '../../src/store/candidate-file.js';
import { candidateFileSchema } from '../../src/store/candidate-file.js';
import { serverSchema } from '../../src/store/sftp/address.js';
import { openSftpStore, type SftpStoreOptions } from '../../src/store/sftp/sftp-store.js';
import type { Store } from '../../src/store/store.js';
import { sandbox } from '../sandbox/current.js';

export const silent: Log = { debug() {}, info() {}, warning() {}, group: (_, phase) => phase() };

/** With one retry, and quick. */
export const http = createHttp({
  transport: actionsTransport(),
  policy: { ...defaultPolicy, attempts: 2 },
  clock: systemClock,
  log: silent,
});

export const label = (name: string): Label => v.parse(labelSchema, name);
export const TESTING = v.parse(candidateLabelSchema, 'ceph-ci-testing');

/** What the input `server` and its secrets would be, for a URL on the sandbox's sshd. */
export function optionsFor(server: string, changes: Partial<SftpStoreOptions> = {}): SftpStoreOptions {
  const { knownHosts, privateKey } = sandbox().imageServer.sshd;
  return {
    server: v.parse(serverSchema, server),
    knownHosts,
    privateKey,
    agentSocket: undefined,
    clock: systemClock,
    log: silent,
    ...changes,
  };
}

/** Opens the server for the length of `use`. */
export async function withServer<T>(
  url: string,
  use: (server: Store) => Promise<T>,
  changes: Partial<SftpStoreOptions> = {},
): Promise<T> {
  const server = await openSftpStore(optionsFor(url, changes));
  try {
    return await use(server);
  } finally {
    server.close();
  }
}

export function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** A candidate of quay.io/ceph/daemon; another `image` is another digest. */
export function candidate(tag: string, image = tag): Candidate {
  return v.parse(candidateSchema, `quay.io/ceph/daemon:${tag}@${digestOf(image)}`);
}

export function candidateFile(tag: string, image = tag): CandidateFile {
  return v.parse(candidateFileSchema, {
    reference: `quay.io/ceph/daemon:${tag}@${digestOf(image)}`,
    tag,
    digest: digestOf(image),
    created: '2022-05-06T02:00:00Z',
    'run-url': 'https://forge.example/o/r/actions/runs/1/attempts/1',
    'tags-read': 606,
  });
}

/** How it failed: a ServiceError's kind, or another error's name; and its message. */
export async function failure(work: Promise<unknown>): Promise<{ kind: string; message: string }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ServiceError) return { kind: error.kind, message: error.message };
    if (error instanceof Error) return { kind: error.name, message: error.message };
  }
  return { kind: 'none', message: '' };
}
