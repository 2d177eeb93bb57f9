import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import type { Login } from './challenge.js';

/** The login for a registry, if there is one. */
export type Logins = (registry: string) => Login | undefined;

const authSchema = v.object({ auth: v.optional(v.string()) });
const configSchema = v.object({ auths: v.optional(v.record(v.string(), authSchema), {}) });

/**
 * The logins that `docker login` and `podman login` left in `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
 * Those that a credential helper or store keeps are not there, and not asked for: no program is run for a login.
 */
export async function readDockerLogins(environment: NodeJS.ProcessEnv): Promise<Logins> {
  const file = join(environment.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return () => undefined;
  }
  return parseDockerConfig(text, file);
}

export function parseDockerConfig(text: string, file: string): Logins {
  const { auths } = parseJson(configSchema, text, (problem) => new UserError(`${file}: ${problem}`));
  const logins = new Map<string, Login>();
  for (const [key, { auth }] of Object.entries(auths)) {
    const [username, ...password] = Buffer.from(auth ?? '', 'base64')
      .toString('utf8')
      .split(':');
    if (username) logins.set(hostOf(key), { username, password: password.join(':') });
  }
  return (registry) => logins.get(registry);
}

/** Keys are hosts, or URLs as `https://quay.io/v2/`; Docker Hub has one of its own. */
function hostOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === 'index.docker.io' ? 'docker.io' : host;
}
