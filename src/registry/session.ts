import type { Clock } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import { formatRepository, type Repository } from '../candidate/reference.js';
import { discard, readBody } from '../http/body.js';
import type { AnswerHead, BytesResponse, Http, Pace, SendOptions } from '../http/policy.js';
import { readSaid } from '../http/said.js';
import type { HttpRequest, HttpResponse } from '../http/transport.js';
import { type BearerChallenge, type Challenge, isTrustedRealm, parseChallenge } from './challenge.js';
import { type Account, basic, isGivenToken, isPassword, sameLogin } from './login.js';
import { createMemory, type Memory } from './memory.js';
import { originOf } from './origin.js';
import { createRateLimit, type Kind, WIDTH } from './rate-limit.js';
import { refusal } from './refusal.js';
import { createTokens, type Grant, type Tokens, type Wanted } from './tokens.js';

/**
 * The only place that sends requests to registries. It logs in, keeps to rate limits, and turns refusals into errors.
 * The HTTP policy handles retries and redirects.
 */
export interface Session {
  /** Requests about these repositories. On each registry one token covers them all, and allows nothing more. */
  access(grants: readonly Grant[]): Access;
}

/** The right to send requests about some repositories. */
export interface Access {
  /** Sends a request; the caller reads the body. */
  send(request: RegistryRequest): Promise<HttpResponse>;
  /** Sends a request and reads the body. */
  fetch(request: RegistryRequest & { readonly maxBytes: number }): Promise<BytesResponse>;
  /** The error for an expected answer that turns out to be a refusal. */
  refusal(request: RegistryRequest, answer: BytesResponse): Promise<ServiceError>;
  /** The registry's challenge; null if it asks for no login, undefined if that is not known yet. */
  challenge(repository: Repository): Promise<Challenge | null | undefined>;
  /** True if requests carry a login: then the registry is asked for its challenge first, which costs requests. */
  hasLogin(repository: Repository): boolean;
  /** The base of relative URLs in the registry's answers. */
  originOf(repository: Repository): Promise<URL>;
  readonly clock: Clock;
  /** Shared by all accesses of the run. */
  readonly memory: Memory;
}

export interface RegistryRequest {
  readonly repository: Repository;
  readonly kind: Kind;
  readonly method: HttpRequest['method'];
  /** A path below `/v2/<repository>/`, or a whole URL from the registry. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<HttpRequest['body']>;
  /** Statuses that the caller handles; all others are thrown. `any` stands for all. */
  readonly expect: readonly number[] | 'any';
  /** Return a 401 instead of logging in and asking again. */
  readonly challenged?: 'return';
  /** Send no login. */
  readonly anonymous?: true;
  /** Must not be sent again if the answer was lost. */
  readonly once?: true;
  /** The caller can do without this request: give up after a few attempts. */
  readonly optional?: boolean;
}

export interface SessionParts {
  readonly http: Http;
  readonly clock: Clock;
  /** The account for a repository. */
  readonly account: (repository: Repository) => Account;
  /** Registries as `host:port` that speak http. */
  readonly plainHttp: readonly string[];
  /** True if the user gives a CA. Then loopback hosts may use TLS. */
  readonly ownCa: boolean;
  /** Hosts besides a registry's own site that its login may be sent to for a token. */
  readonly tokenHosts: readonly string[];
}

/** The state that is shared by all requests to one registry. */
interface Host {
  readonly origin: URL;
  readonly rateLimits: Readonly<Record<Kind, Pace>>;
  readonly tokens: Tokens;
  /** Null if it asks for no login. */
  challenge: Promise<Challenge | null> | undefined;
  /** Scopes that it named besides our own, by the path of the repository. */
  readonly scopes: Map<string, readonly string[]>;
  /** True if its tokens cover only one of several scopes, so that each repository's scope is requested alone. */
  isNarrow: boolean;
}

const MAX_ERROR_BYTES = 64 * 1024;
const ERROR_MS = 10_000;

export function createSession(parts: SessionParts): Session {
  const hosts = new Map<string, Promise<Host>>();
  const hostOf = (registry: string): Promise<Host> => {
    const host = hosts.get(registry) ?? newHost(parts, registry);
    hosts.set(registry, host);
    return host;
  };
  const memory = createMemory();
  return { access: (grants) => createAccess({ ...parts, hostOf, grants }, memory) };
}

async function newHost({ http, clock, plainHttp, ownCa }: SessionParts, registry: string): Promise<Host> {
  const limit = (kind: Kind) => createRateLimit(WIDTH[kind], clock);
  return {
    origin: await originOf(registry, plainHttp, ownCa),
    rateLimits: { blob: limit('blob'), manifest: limit('manifest'), tags: limit('tags') },
    tokens: createTokens(http, clock),
    challenge: undefined,
    scopes: new Map(),
    isNarrow: false,
  };
}

/** What the requests of one access need. */
interface AccessParts extends SessionParts {
  readonly hostOf: (registry: string) => Promise<Host>;
  readonly grants: readonly Grant[];
}

function createAccess(parts: AccessParts, memory: Memory): Access {
  const { http, clock, account, hostOf } = parts;
  const refused = async (request: RegistryRequest, answer: AnswerHead, body: Buffer): Promise<ServiceError> => {
    const host = await hostOf(request.repository.registry);
    return refusal(nameOf(request), urlOf(host, request), { ...answer, body }, account(request.repository));
  };
  return {
    async challenge(repository) {
      return challengeOf(http, await hostOf(repository.registry), account(repository));
    },
    hasLogin: (repository) => account(repository).login !== undefined,
    originOf: async ({ registry }) => (await hostOf(registry)).origin,
    clock,
    memory,

    async send(request) {
      const send: Send<HttpResponse & { readonly bytes?: Buffer }> = async (sent, options) => {
        const response = await http.send(sent, options);
        if (isExpected(request, response)) return response;
        const body = readBody(response, MAX_ERROR_BYTES, ERROR_MS, nameOf(request));
        return { ...response, bytes: await body.catch(() => Buffer.alloc(0)) };
      };
      const response = await exchange(request, parts, send);
      if (response.bytes === undefined) return response;
      throw await refused(request, response, response.bytes);
    },

    async fetch(request) {
      const { maxBytes } = request;
      const send: Send<BytesResponse> = (sent, options) => http.sendForBytes(sent, { ...options, maxBytes });
      const response = await exchange(request, parts, send);
      if (isExpected(request, response)) return response;
      throw await refused(request, response, response.bytes);
    },

    refusal: (request, answer) => refused(request, answer, answer.bytes),
  };
}

/** An answer, and the authorization that its request had. */
interface Attempt<R> {
  readonly response: R;
  readonly authorization: string | undefined;
}

/** Sends a request, and repeats it with a login if the login was missing or was not accepted. */
async function exchange<R extends Answer>(request: RegistryRequest, parts: AccessParts, send: Send<R>): Promise<R> {
  const { repository } = request;
  const host = await parts.hostOf(repository.registry);
  const url = urlOf(host, request);
  const mayLogIn = request.anonymous !== true && url.origin === host.origin.origin;
  // A token that a person gave cannot be renewed.
  const mayRenew = mayLogIn && !isGivenToken(parts.account(repository).login);
  const options = {
    idempotent: request.once !== true,
    optional: request.optional === true,
    pace: host.rateLimits[request.kind],
  };
  const ask = async (isAlone: boolean): Promise<Attempt<R>> => {
    const authorization = mayLogIn ? await authorize(repository, host, parts, isAlone) : undefined;
    const headers = { ...request.headers, ...(authorization !== undefined && { authorization }) };
    return { response: await send({ ...request, url, headers }, options), authorization };
  };
  const askAgain = async ({ response, authorization }: Attempt<R>): Promise<Attempt<R>> => {
    host.tokens.drop(authorization?.replace('Bearer ', '') ?? '');
    await dropBody(response);
    return ask(host.isNarrow);
  };

  let attempt = await ask(host.isNarrow);
  if (attempt.response.status === 401 && mayLogIn) {
    if (!learnChallenge(attempt, url, request, host, parts) || !mayRenew) return attempt.response;
    attempt = await askAgain(attempt);
  }
  if (!mayRenew) return attempt.response;
  // Some registries do not answer 401 when a token has expired.
  if (attempt.authorization?.startsWith('Bearer ') && isExpired(attempt.response)) attempt = await askAgain(attempt);
  if (!mayBeTooWide(attempt, request, host, parts)) return attempt.response;
  const alone = await ask(true);
  const isBetter = alone.response.status !== 401 && alone.response.status !== 403;
  if (isBetter) host.isNarrow = true;
  const [kept, left] = isBetter ? [alone, attempt] : [attempt, alone];
  await dropBody(left.response);
  return kept.response;
}

/** The Authorization header of a request, if it has one. */
async function authorize(
  repository: Repository,
  host: Host,
  { http, account, tokenHosts, grants }: AccessParts,
  isAlone: boolean,
): Promise<string | undefined> {
  const who = account(repository);
  if (isGivenToken(who.login)) return `Bearer ${who.login.registryToken}`;
  const challenge = await challengeOf(http, host, who);
  if (challenge?.scheme === 'bearer') {
    if (who.login !== undefined) checkRealm(challenge, host, repository, tokenHosts);
    const wanted = wantedFor(repository, host, grants, account, isAlone);
    return `Bearer ${await host.tokens.get(challenge, wanted, who)}`;
  }
  // A registry that is open at /v2/ may still have private repositories, and hide them without a challenge.
  return isPassword(who.login) ? basic(who.login) : undefined;
}

/** Learns from a 401 how the registry wants a login. False if asking again is of no use. */
function learnChallenge(
  { response, authorization }: Attempt<Answer>,
  url: URL,
  { repository, challenged }: RegistryRequest,
  host: Host,
  { grants }: AccessParts,
): boolean {
  const challenge = parseChallenge(response.headers['www-authenticate'] ?? '', url);
  if (challenge === undefined || challenge.scheme === 'unknown') return false;
  if (challenge.scheme === 'basic' && authorization?.startsWith('Basic ')) return false;
  host.challenge = Promise.resolve(challenge);
  if (challenged === 'return') return false;
  if (challenge.scheme === 'bearer') learnScopes(host, repository, challenge, grants);
  return true;
}

/** True for a refusal of a token for several scopes: some token servers give a token for only one of them. */
function mayBeTooWide(
  { response: { status }, authorization }: Attempt<Answer>,
  { repository, body }: RegistryRequest,
  { isNarrow }: Host,
  { grants }: AccessParts,
): boolean {
  const isRefused = status === 401 || (status === 403 && typeof body !== 'function');
  const isWide = !isNarrow && grantsOn(grants, repository.registry).length > 1;
  return isRefused && isWide && authorization?.startsWith('Bearer ') === true;
}

type Answer = AnswerHead & Partial<Pick<HttpResponse, 'body'> & Pick<BytesResponse, 'bytes'>>;
type Send<R> = (request: HttpRequest, options: SendOptions) => Promise<R>;

function isExpected({ expect }: RegistryRequest, { status }: AnswerHead): boolean {
  return expect === 'any' || expect.includes(status);
}

function isExpired(answer: Answer): boolean {
  const { status, bytes } = answer;
  if ((status !== 400 && status !== 403) || bytes === undefined) return false;
  return /\btoken\b.*\bexpired\b/i.test(readSaid({ ...answer, body: bytes }).text);
}

async function dropBody({ body, bytes }: Answer): Promise<void> {
  if (body !== undefined && bytes === undefined) await discard({ body });
}

/**
 * The registry's challenge. Without a login it comes with the first refusal. With one it is requested first, so that no
 * request has to be sent twice.
 */
function challengeOf(http: Http, host: Host, { login }: Account): Promise<Challenge | null> | undefined {
  if (login === undefined || host.challenge !== undefined) return host.challenge;
  host.challenge = askForChallenge(http, host);
  host.challenge.catch(() => {
    host.challenge = undefined;
  });
  return host.challenge;
}

async function askForChallenge(http: Http, { origin }: Host): Promise<Challenge | null> {
  const url = new URL('/v2/', origin);
  const { status, headers } = await http.sendForBytes(
    { method: 'GET', url },
    { idempotent: true, maxBytes: MAX_ERROR_BYTES },
  );
  if (status >= 500) throw new ServiceError('server-error', `${url.href}: answered ${status}`);
  return status === 401 ? (parseChallenge(headers['www-authenticate'] ?? '', url) ?? null) : null;
}

function checkRealm({ realm }: BearerChallenge, { origin }: Host, repository: Repository, listed: readonly string[]) {
  if (isTrustedRealm(realm, origin, listed)) return;
  throw new ServiceError(
    'unauthorized',
    `${formatRepository(repository)}: the registry's token server is ${realm.host}, which is on another site, so the login is not sent there`,
    { hint: 'trust-token-host' },
  );
}

function grantsOn(grants: readonly Grant[], registry: string): readonly Grant[] {
  return grants.filter(({ repository }) => repository.registry === registry);
}

/** The scope of a token for a request about `repository`: its own grant, and the others of the same login. */
function wantedFor(
  repository: Repository,
  host: Host,
  grants: readonly Grant[],
  account: SessionParts['account'],
  isAlone: boolean,
): Wanted {
  const here = grantsOn(grants, repository.registry);
  const own = here.find((grant) => grant.repository.path === repository.path);
  if (own === undefined) throw new TypeError(`no grant for ${formatRepository(repository)}`);
  const { login } = account(repository);
  const covered = here.filter((grant) => {
    if (grant === own || isAlone) return grant === own;
    // A push reads the source too, since a mount needs both rights.
    const isMountable = own.actions !== 'pull' && grant.actions === 'pull';
    return isMountable || sameLogin(account(grant.repository).login, login);
  });
  return { own, grants: covered, isAlone, scopes: host.scopes.get(repository.path) ?? [] };
}

/** Remembers scopes that the registry requests under other names than ours, but never a right that was not granted. */
function learnScopes(host: Host, { path, registry }: Repository, challenge: BearerChallenge, grants: readonly Grant[]) {
  const own = grantsOn(grants, registry).find(({ repository }) => repository.path === path);
  const allowed = own?.actions.split(',') ?? [];
  const known = host.scopes.get(path) ?? [];
  const fresh = challenge.scopes.slice(0, MAX_SCOPES).flatMap((scope) => {
    const colon = scope.lastIndexOf(':');
    const actions = scope
      .slice(colon + 1)
      .split(',')
      .filter((action) => allowed.includes(action));
    const isOurs = scope.slice(0, colon) === `repository:${path}`;
    return isOurs || actions.length === 0 ? [] : [`${scope.slice(0, colon)}:${actions.join(',')}`];
  });
  if (fresh.length > 0) host.scopes.set(path, [...new Set([...known, ...fresh])].slice(0, MAX_SCOPES));
}

const MAX_SCOPES = 4;

/** The name of a request in errors, as in `quay.io/ceph/daemon: GET manifests/v6.0.7`. */
function nameOf({ repository, method, path }: Pick<RegistryRequest, 'repository' | 'method' | 'path'>): string {
  const below = typeof path === 'string' ? path.split('?')[0] : path.pathname.split(`/${repository.path}/`)[1];
  return `${formatRepository(repository)}: ${method} ${below ?? ''}`;
}

function urlOf(host: Host, { repository, path }: RegistryRequest): URL {
  if (typeof path === 'string') return new URL(`/v2/${repository.path}/${path}`, host.origin);
  if (path.protocol === 'https:' || path.protocol === host.origin.protocol) return path;
  throw new ServiceError(
    'bad-answer',
    `${formatRepository(repository)}: the registry names an address without TLS, ${path.origin}`,
  );
}
