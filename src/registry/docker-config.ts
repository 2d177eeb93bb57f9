import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import { parseJson, tryParse } from '../base/schema.js';
import { canonicalRegistry, type Repository } from '../candidate/reference.js';
import type { Account, Login } from './login.js';

/** The login in Docker's configuration for a repository, or a note that says why there is none. */
export type DockerLogins = (repository: Repository) => Pick<Account, 'login' | 'note'>;

const text = v.optional(v.nullable(v.string()));
const entrySchema = v.object({
  auth: text,
  username: text,
  password: text,
  identitytoken: text,
  registrytoken: text,
});
type Entry = v.InferOutput<typeof entrySchema>;

/** Entries are parsed when they are used, so a broken entry for another registry does not matter. */
const configSchema = v.object({
  auths: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
  credHelpers: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
  credsStore: v.optional(v.unknown()),
});

/**
 * Reads the logins in `$DOCKER_CONFIG/config.json` or, if it is not set, in `~/.docker/config.json`, as `docker login`
 * or `podman login` writes them. Credential helpers are not run, so the logins in them are unknown.
 *
 * @throws UserError if the file does not parse.
 */
export async function readDockerLogins(environment: NodeJS.ProcessEnv): Promise<DockerLogins> {
  const file = join(environment.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch {
    return () => ({});
  }
  return parseDockerConfig(content, file);
}

/** Parses the file's content. An empty file contains no logins, as in Docker. */
export function parseDockerConfig(content: string, file: string): DockerLogins {
  const json = content.replace(/^\ufeff/, '').trim();
  if (json === '') return () => ({});
  const config = parseJson(configSchema, json, (problem) => new UserError(`${file}: ${problem}`));
  const entries = Object.entries(config.auths ?? {}).flatMap(([key, value]) => {
    const scope = parseKey(key);
    return scope === undefined ? [] : [{ key, value, ...scope }];
  });

  return (repository) => {
    const registry = canonicalRegistry(repository.registry);
    const [best] = entries
      .filter((entry) => entry.registry === registry && isWithin(repository.path, entry.path))
      // Among keys for one host, `quay.io` comes before `https://quay.io/v1/`.
      .sort((a, b) => b.path.length - a.path.length || a.key.length - b.key.length);
    const login = best === undefined ? undefined : parseLogin(best.value, `${file}: the login for ${best.key}`);
    if (login !== undefined) return { login };
    const helper = Object.entries(config.credHelpers ?? {}).find(([key]) => parseKey(key)?.registry === registry)?.[1];
    const name = helper ?? (best === undefined ? undefined : config.credsStore);
    return typeof name !== 'string' || name === ''
      ? {}
      : { note: `${file} leaves its login to the credential helper ${JSON.stringify(name)}, which is not run` };
  };
}

/** A key is a host, a host with a path, or a URL such as `https://index.docker.io/v1/`. */
function parseKey(key: string): { readonly registry: string; readonly path: string } | undefined {
  const bare = key.replace(/^https?:\/\//i, '');
  const [host = '', ...segments] = bare.replace(/\/+$/, '').split('/');
  if (host === '' || !URL.canParse(`http://${host}`)) return undefined;
  const isHostOnly = bare !== key || /^v[12]$/.test(segments.join('/'));
  return { registry: canonicalRegistry(host), path: isHostOnly ? '' : segments.join('/') };
}

function isWithin(path: string, prefix: string): boolean {
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
}

function parseLogin(value: unknown, what: string): Login | undefined {
  if (value === null) return undefined;
  const parsed = tryParse(entrySchema, value);
  if ('problem' in parsed) throw new UserError(`${what}: ${parsed.problem}`);
  const { identitytoken, registrytoken } = parsed.value;
  if (registrytoken) return { registryToken: registrytoken };
  if (identitytoken) return { identityToken: identitytoken };
  const { username, password } = userOf(parsed.value, what);
  if (!username) return undefined;
  // Docker's own mark for a refresh token instead of a password.
  return username === '<token>' ? { identityToken: password } : { username, password };
}

function userOf({ auth, username, password }: Entry, what: string) {
  if (!auth) return { username: username ?? '', password: password ?? '' };
  // As Docker does: some tools pad the password with zero bytes.
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  if (colon < 0) throw new UserError(`${what}: its auth is not base64 of user:password`);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
