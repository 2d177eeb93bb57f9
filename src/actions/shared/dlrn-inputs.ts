import { systemClock } from '../../base/clock.js';
import { UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { createDlrn, type Dlrn } from '../../dlrn/client.js';
import {
  aggregateHashSchema,
  commitHashSchema,
  distroHashSchema,
  extendedHashSchema,
  readAggregateHash,
  type Subject,
} from '../../dlrn/hashes.js';
import type { Http } from '../../http/policy.js';
import { lineSchema, optional, type ParsedInputs, secret, urlSchema } from '../../runner/inputs.js';

/** The inputs of every action that uses DLRN, without `dlrn-url`, which only some of them require. */
export const dlrnInputs = {
  username: optional('DLRN user', lineSchema),
  password: secret('Its password'),
  'aggregate-hash': optional('The aggregate hash that the jobs test with', aggregateHashSchema),
  'commit-hash': optional(
    'Instead of `aggregate-hash`: the commit hash of a build, together with `distro-hash`',
    commitHashSchema,
  ),
  'distro-hash': optional('The distro hash of that build', distroHashSchema),
  'extended-hash': optional('The extended hash of that build, if it has one', extendedHashSchema),
  'repository-url': optional(
    'Instead of a hash: the directory of a label, such as `…/centos9-master/current-tripleo`; its delorean.repo.md5 is read',
    urlSchema,
  ),
};

type DlrnSettings = ParsedInputs<typeof dlrnInputs>;

/** The DLRN API at `url`, with the login in the inputs. Throws a UserError if half of the login is missing. */
export function dlrnFrom(
  { username, password }: Pick<DlrnSettings, 'username' | 'password'>,
  url: URL,
  http: Http,
  log: Log,
): Dlrn {
  if (username !== undefined && password === undefined) throw new UserError('input password: not set, but username is');
  if (username === undefined && password !== undefined) throw new UserError('input username: not set, but password is');
  const credentials = username === undefined || password === undefined ? undefined : { username, password };
  return createDlrn({ http, url, ...(credentials && { credentials }), clock: systemClock, log });
}

/** The hash or commit that votes are on; undefined if no input names one. */
export async function subjectFrom(inputs: DlrnSettings, http: Http): Promise<Subject | undefined> {
  const {
    'aggregate-hash': hash,
    'commit-hash': commit,
    'distro-hash': distro,
    'extended-hash': extended,
    'repository-url': repository,
  } = inputs;
  const given = Object.entries({ 'aggregate-hash': hash, 'commit-hash': commit, 'repository-url': repository })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  if (given.length > 1) throw new UserError(`inputs ${given.join(' and ')}: set only one of them`);
  if ((commit === undefined) !== (distro === undefined)) {
    throw new UserError(
      `input ${commit === undefined ? 'commit' : 'distro'}-hash: not set, but ${commit === undefined ? 'distro' : 'commit'}-hash is`,
    );
  }
  if (extended !== undefined && commit === undefined) {
    throw new UserError('input extended-hash: set without commit-hash and distro-hash');
  }
  if (hash !== undefined) return { kind: 'aggregate', hash };
  if (commit !== undefined && distro !== undefined) {
    return { kind: 'commit', commit, distro, ...(extended !== undefined && { extended }) };
  }
  return repository && { kind: 'aggregate', hash: await readAggregateHash(http, repository) };
}
