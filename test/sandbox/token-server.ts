import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Stoppable } from './process.js';
import { basicAuthorization, type Login, type TokenIssuer } from './registry.js';

export interface TokenRequest {
  /** As asked for: `repository:ceph/daemon:pull,push`. */
  readonly scopes: readonly string[];
  /** `anonymous`, the login's, or `wrong`, which was answered 401. */
  readonly who: 'anonymous' | 'login' | 'wrong';
}

export interface TokenServer extends Stoppable {
  /** What `startRegistry` takes; with another `realm`, clients come by way of a proxy. */
  readonly issuer: TokenIssuer;
  readonly requests: TokenRequest[];
  /** Of tokens from now on. Registries believe a token for a minute longer, so that -60 makes one that is refused. */
  lifetimeSeconds: number;
}

export interface TokenServerOptions {
  readonly directory: string;
  /** May do everything; who does not log in may pull. */
  readonly login: Login;
}

const SERVICE = 'sandbox-registry';
const ISSUER = 'sandbox-tokens';

/**
 * A token server in this process (distribution's docs/content/spec/auth/token.md). Like Quay's it answers GET alone,
 * with nothing but the token, and grants less than was asked for rather than refuse.
 */
export async function startTokenServer({ directory, login }: TokenServerOptions): Promise<TokenServer> {
  await mkdir(directory, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomUUID();
  const jwks = join(directory, 'jwks.json');
  await writeFile(
    jwks,
    JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] }),
  );

  function token(subject: string, access: readonly Access[]): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: ISSUER,
      sub: subject,
      aud: SERVICE,
      iat: now,
      nbf: now - 3600,
      exp: now + server.lifetimeSeconds,
      jti: randomUUID(),
      access,
    };
    const signed = [{ typ: 'JWT', alg: 'ES256', kid }, claims].map(base64url).join('.');
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }

  const http = createServer((request, response) => {
    const scopes = new URL(request.url ?? '', 'http://localhost').searchParams.getAll('scope');
    const { authorization } = request.headers;
    const known = authorization === basicAuthorization(login);
    const who = authorization === undefined ? 'anonymous' : known ? 'login' : 'wrong';
    server.requests.push({ scopes, who });
    if (request.method !== 'GET') return response.writeHead(405).end();
    if (who === 'wrong') return response.writeHead(401, { 'www-authenticate': 'Basic realm="sandbox"' }).end();
    const access = scopes.map((scope) => granted(scope, known ? undefined : ['pull']));
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ token: token(known ? login.username : '', access) }));
  });
  http.listen(0, '127.0.0.1').unref();
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the token server has no port');

  const server: TokenServer = {
    issuer: { realm: `http://127.0.0.1:${address.port}/token`, service: SERVICE, issuer: ISSUER, jwks },
    requests: [],
    lifetimeSeconds: 300,
    stop: async () => {
      http.close();
      http.closeAllConnections();
    },
  };
  return server;
}

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** What a scope asks for, less what is not among `allowed`. */
function granted(scope: string, allowed: readonly string[] | undefined): Access {
  const [, type = '', name = '', actions = ''] = /^([^:]*):(.*):([^:]*)$/.exec(scope) ?? [];
  return { type, name, actions: actions.split(',').filter((action) => allowed?.includes(action) ?? true) };
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
