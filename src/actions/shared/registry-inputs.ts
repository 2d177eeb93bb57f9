import * as v from 'valibot';
import { systemClock } from '../../base/clock.js';
import { ServiceError, UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { Repository } from '../../candidate/reference.js';
import { accountFor } from '../../registry/accounts.js';
import { createRegistry } from '../../registry/create-registry.js';
import { readDockerLogins } from '../../registry/docker-config.js';
import type { Registry } from '../../registry/registry.js';
import { lineSchema, list, optional, type ParsedInputs, secret } from '../../runner/inputs.js';
import { caInput, readCertificates } from './ca-input.js';

const hostSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9a-f:]+\](?::\d{1,5})?$/,
    (issue) => `${issue.received} is not host:port`,
  ),
);

/** The inputs of every action that uses a registry. */
export const registryInputs = {
  'registry-username': optional(
    'User that reads the registry of the image; empty: the login that `docker login` stored (without a credential helper), or anonymous',
    lineSchema,
  ),
  'registry-password': secret('Its password or token'),
  'plain-http': list('Registries that speak http, as `host:port`; loopback hosts need not be listed', hostSchema),
  'token-hosts': list(
    "Token servers that may get the registry's login although they are on another site, as `host` or `host:port`",
    hostSchema,
  ),
  ...caInput,
};

/** The inputs of an action that also writes to a registry. */
export const targetInputs = {
  'target-username': optional(
    'User that writes to the targets; empty: the user for reading, if they are on the same registry',
    lineSchema,
  ),
  'target-password': secret('Its password or token'),
};

/** An action may lack the inputs of a login that it does not need. */
type RegistrySettings = Partial<ParsedInputs<typeof registryInputs & typeof targetInputs>> &
  Pick<ParsedInputs<typeof registryInputs>, 'plain-http' | 'token-hosts' | 'ca-file'>;

/** The repositories that an action reads and writes. They decide which login goes where. */
interface Repositories {
  readonly source?: Repository | undefined;
  readonly targets?: readonly Repository[];
}

/** Runs `work` with a registry client, and closes its connections when `work` ends or throws. */
export async function withRegistry<T>(
  inputs: RegistrySettings,
  log: Log,
  { source, targets = [] }: Repositories,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const logins = {
    source,
    sourceLogin: loginFrom('registry', inputs['registry-username'], inputs['registry-password']),
    targets,
    targetLogin: loginFrom('target', inputs['target-username'], inputs['target-password']),
    docker: await readDockerLogins(process.env),
  };
  const ca = await readCertificates(inputs);
  const registry = createRegistry({
    account: (repository) => accountFor(repository, logins),
    plainHttp: inputs['plain-http'],
    tokenHosts: inputs['token-hosts'],
    ...(ca !== undefined && { ca }),
    clock: systemClock,
    log,
  });
  try {
    return await work(registry);
  } finally {
    await registry.close();
  }
}

/** Awaits a read of an image. If the registry does not have the image, the error names the inputs that name it. */
export async function namedBy<T>(inputs: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ServiceError && error.kind === 'not-found')) throw error;
    throw new ServiceError('not-found', `${error.message}; see ${inputs}`);
  }
}

function loginFrom(kind: 'registry' | 'target', username: string | undefined, password: string | undefined) {
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined) throw new UserError(`input ${kind}-username: not set, but ${kind}-password is`);
  if (password === undefined) throw new UserError(`input ${kind}-password: not set, but ${kind}-username is`);
  return { username, password };
}
