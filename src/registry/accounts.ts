import { canonicalRegistry, type Repository, sameRepository } from '../candidate/reference.js';
import type { Account, Login } from './challenge.js';
import type { Logins } from './docker-config.js';

export interface GivenLogins {
  /** The repository that candidates come from, where there is one, and the login given for it. */
  readonly source: Repository | undefined;
  readonly sourceLogin: Login | undefined;
  readonly targets: readonly Repository[];
  /** Undefined: as for the source, where a target is on the source's registry. */
  readonly targetLogin: Login | undefined;
  /** What `docker login` has left. */
  readonly others: Logins;
}

const SOURCE_INPUTS = 'inputs registry-username and registry-password';
const TARGET_INPUTS = 'inputs target-username and target-password';

/** Who to be at a repository. A login is for the registry that it was given for: no other ever sees it. */
export function accountFor(repository: Repository, logins: GivenLogins): Account {
  const { source, sourceLogin, targets, targetLogin, others } = logins;
  const isTarget = targets.some((target) => sameRepository(target, repository));
  const isAtSource =
    source !== undefined && canonicalRegistry(repository.registry) === canonicalRegistry(source.registry);
  const given = (isTarget ? targetLogin : undefined) ?? (isAtSource ? sourceLogin : undefined);
  const login = given ?? others(repository.registry);
  const inputs = isTarget
    ? TARGET_INPUTS
    : isAtSource
      ? SOURCE_INPUTS
      : `\`docker login ${repository.registry}\` before this step`;
  return { inputs, ...(login && { login }) };
}
