import { canonicalRegistry, type Repository, sameRepository } from '../candidate/reference.js';
import type { DockerLogins } from './docker-config.js';
import type { Account, PasswordLogin } from './login.js';

export interface GivenLogins {
  /** The repository that candidates come from, if there is one, and the login given for its registry. */
  readonly source: Repository | undefined;
  readonly sourceLogin: PasswordLogin | undefined;
  readonly targets: readonly Repository[];
  /** Undefined: the source's login also serves a target on the source's registry. */
  readonly targetLogin: PasswordLogin | undefined;
  readonly docker: DockerLogins;
}

/** The account for a repository. A login is sent only to the registry that it was given for. */
export function accountFor(repository: Repository, logins: GivenLogins): Account {
  const { source, sourceLogin, targets, targetLogin, docker } = logins;
  const isTarget = targets.some((target) => sameRepository(target, repository));
  const isAtSource =
    source !== undefined && canonicalRegistry(repository.registry) === canonicalRegistry(source.registry);
  const hint = isTarget ? 'log-in-to-target' : isAtSource ? 'log-in-to-source' : 'log-in-with-docker';
  const login = (isTarget ? targetLogin : undefined) ?? (isAtSource ? sourceLogin : undefined);
  return login === undefined ? { hint, ...docker(repository) } : { hint, login };
}
