import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basicAuthorization, type Certificate, type Login, type TokenIssuer } from '../sandbox/registry.js';

/** Issues bearer tokens according to the distribution project's specification. */
export interface TokenServer {
  readonly issuer: TokenIssuer;
  /** The scopes of each request so far. */
  readonly asked: (readonly string[])[];
  /** Seconds that tokens last from now, if not what they say of themselves. */
  lifetime: { real: number; said: number };
  /** May a user do this? */
  allows: (user: string | undefined, repository: string, action: string) => boolean;
  stop(): Promise<void>;
}

const KEY_ID = 'test';

/** distribution believes a token for so long after its end. */
const LEEWAY = 60;

/** What signs tokens, how they name it, and where registries find it. */
interface Signing {
  readonly privateKey: KeyObject;
  readonly header: object;
  readonly trust: Pick<TokenIssuer, 'jwks' | 'rootcertbundle'>;
}

async function signWithKey(jwks: string): Promise<Signing> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, alg: 'ES256', use: 'sig' };
  await writeFile(jwks, JSON.stringify({ keys: [key] }));
  return { privateKey, header: { kid: KEY_ID }, trust: { jwks } };
}

async function signWithCertificate({ certificate, key }: Certificate): Promise<Signing> {
  const { raw } = new X509Certificate(await readFile(certificate));
  return {
    privateKey: createPrivateKey(await readFile(key)),
    header: { x5c: [raw.toString('base64')] },
    trust: { rootcertbundle: certificate },
  };
}

/** `signer`: where to write a new key as JWKS, or a certificate of an EC key on P-256, as docker-registry 2.8 needs. */
export async function startTokenServer(signer: string | Certificate, login: Login): Promise<TokenServer> {
  const signing = await (typeof signer === 'string' ? signWithKey(signer) : signWithCertificate(signer));

  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://token').searchParams;
    const scopes = query.getAll('scope');
    tokens.asked.push(scopes);
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization !== basicAuthorization(login)) {
      response.writeHead(401).end();
      return;
    }
    const user = authorization === undefined ? undefined : login.username;
    const access = scopes.map((scope) => {
      const [type = '', name = '', actions = ''] = scope.split(':');
      return { type, name, actions: actions.split(',').filter((action) => tokens.allows(user, name, action)) };
    });
    const exp = Math.floor(Date.now() / 1000) + tokens.lifetime.real - LEEWAY;
    const iat = exp - tokens.lifetime.said;
    const claims = {
      iss: 'test',
      sub: user ?? '',
      aud: query.get('service'),
      exp,
      iat,
      nbf: iat,
      jti: randomUUID(),
      access,
    };
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ typ: 'JWT', alg: 'ES256', ...signing.header })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key: signing.privateKey, dsaEncoding: 'ieee-p1363' });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token: `${text}.${signature.toString('base64url')}` }));
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the token server has no port');
  const tokens: TokenServer = {
    issuer: {
      realm: `http://127.0.0.1:${address.port}/v2/auth`,
      service: 'registry',
      issuer: 'test',
      ...signing.trust,
    },
    asked: [],
    lifetime: { real: 3600, said: 3600 },
    allows: (user) => user !== undefined,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return tokens;
}
