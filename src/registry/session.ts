import type { Clock } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import { formatRepository, type Repository } from '../candidate/reference.js';
import {
  type AnswerHead,
  type BytesResponse,
  discard,
  type Http,
  type Pace,
  readBody,
  type SendOptions,
} from '../http/policy.js';
import type { HttpRequest, HttpResponse } from '../http/transport.js';
import { type Account, basic, type Challenge, parseChallenge } from './challenge.js';
import { failure } from './failure.js';
import { createLane, type Kind, WIDTH } from './lane.js';
import { createTokens, type Grant, type Tokens } from './tokens.js';

/**
 * The one place where registries are asked: who we are, at which pace, and what a refusal means. Retries and redirects
 * are the HTTP policy's.
 */
export interface Session {
  /** Requests about these repositories, under one token for each registry that allows no more than this. */
  access(grants: readonly Grant[]): Access;
}

/** The right to ask about some repositories. */
export interface Access {
  /** Sends; the caller reads the body. */
  send(request: RegistryRequest): Promise<HttpResponse>;
  /** Sends and reads the body. */
  fetch(request: RegistryRequest & { readonly maxBytes: number }): Promise<BytesResponse>;
  /** How its registry asks who we are, as far as is known; null: it does not. */
  challenge(repository: Repository): Promise<Challenge | null | undefined>;
  /** Have we a login there? Then its registry is asked for its challenge before anything else. */
  hasLogin(repository: Repository): boolean;
  /** What relative URLs in its answers are relative to. */
  originOf(repository: Repository): Promise<URL>;
  readonly clock: Clock;
}

export interface RegistryRequest {
  readonly repository: Repository;
  readonly kind: Kind;
  readonly method: HttpRequest['method'];
  /** Below `/v2/<repository>/`, or a whole URL that the registry gave. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<HttpRequest['body']>;
  /** Statuses that the caller knows what to do with; others are thrown. With 401 among them no challenge is answered. */
  readonly expect: readonly number[];
  /** Nothing is said of who we are. */
  readonly anonymous?: true;
  /** Must not be sent again when the answer was lost. */
  readonly once?: true;
}

export interface SessionParts {
  readonly http: Http;
  readonly clock: Clock;
  /** The account for a repository; on one registry the repository that is pushed to decides. */
  readonly account: (repository: Repository) => Account;
  /** Where a registry is asked. */
  readonly originOf: (registry: string) => Promise<URL>;
}

/** What we know of one registry. */
interface Host {
  readonly origin: URL;
  readonly lanes: Readonly<Record<Kind, Pace>>;
  readonly tokens: Tokens;
  /** How it asks who we are; null: it does not. */
  challenge: Promise<Challenge | null> | undefined;
}

const MAX_ERROR_BYTES = 64 * 1024;
const ERROR_MS = 10_000;

export function createSession({ http, clock, account, originOf }: SessionParts): Session {
  const hosts = new Map<string, Promise<Host>>();

  function hostOf(registry: string): Promise<Host> {
    const known = hosts.get(registry);
    if (known !== undefined) return known;
    const host = newHost(registry);
    hosts.set(registry, host);
    return host;
  }

  async function newHost(registry: string): Promise<Host> {
    const lane = (kind: Kind) => createLane(WIDTH[kind], clock);
    return {
      origin: await originOf(registry),
      lanes: { blob: lane('blob'), manifest: lane('manifest'), tags: lane('tags') },
      tokens: createTokens(http, clock),
      challenge: undefined,
    };
  }

  async function introduction(host: Host): Promise<Challenge | null> {
    const url = new URL('/v2/', host.origin);
    const request = { method: 'GET', url } as const;
    const answer = await http.sendForBytes(request, { idempotent: true, maxBytes: MAX_ERROR_BYTES });
    if (answer.status >= 500) throw new ServiceError('server-error', `${url.href}: answered ${answer.status}`);
    return answer.status === 401 ? challengeIn(answer, url) : null;
  }

  /** Without a login a registry says by itself what it misses; with one it is asked first, so that nothing goes twice. */
  function challengeOf(host: Host, { login }: Account): Promise<Challenge | null> | undefined {
    if (login === undefined || host.challenge !== undefined) return host.challenge;
    host.challenge = introduction(host);
    host.challenge.catch(() => {
      host.challenge = undefined;
    });
    return host.challenge;
  }

  function access(grants: readonly Grant[]): Access {
    const grantsOn = (registry: string) => grants.filter(({ repository }) => repository.registry === registry);

    const accountOn = (registry: string): Account => {
      const here = grantsOn(registry);
      const decides = here.find(({ actions }) => actions !== 'pull') ?? here[0];
      if (decides === undefined) throw new TypeError(`no grant on ${registry}`);
      return account(decides.repository);
    };

    async function authorization(host: Host, registry: string): Promise<{ readonly authorization?: string }> {
      const who = accountOn(registry);
      const challenge = await challengeOf(host, who);
      if (challenge?.scheme === 'bearer') {
        return { authorization: `Bearer ${await host.tokens.get(challenge, grantsOn(registry), who)}` };
      }
      return challenge?.scheme === 'basic' && who.login !== undefined ? { authorization: basic(who.login) } : {};
    }

    /** Sends, and once more where what we said of ourselves was missing or had run out. */
    async function exchange<R extends Answer>(request: RegistryRequest, send: Send<R>): Promise<R> {
      const { registry } = request.repository;
      const host = await hostOf(registry);
      const url = urlOf(host, request);
      const mayTell = request.anonymous !== true && url.origin === host.origin.origin;
      const options = { idempotent: request.once !== true, pace: host.lanes[request.kind] };
      const attempt = async () => {
        const said = mayTell ? await authorization(host, registry) : {};
        const response = await send({ ...request, url, headers: { ...request.headers, ...said } }, options);
        return { response, said: said.authorization };
      };
      const { response, said } = await attempt();
      if (response.status !== 401 || !mayTell) return response;
      const challenge = challengeIn(response, url);
      if (challenge === null || (challenge.scheme === 'basic' && said !== undefined)) return response;
      host.challenge = Promise.resolve(challenge);
      if (request.expect.includes(401)) return response;
      host.tokens.drop(said?.replace('Bearer ', '') ?? '');
      if (response.body !== undefined) await discard({ ...response, body: response.body });
      return (await attempt()).response;
    }

    const refusal = (request: RegistryRequest, status: number, body: Buffer) =>
      failure(nameOf(request), status, body.toString('utf8'), accountOn(request.repository.registry).inputs);

    return {
      challenge: async ({ registry }) => challengeOf(await hostOf(registry), accountOn(registry)),
      hasLogin: ({ registry }) => accountOn(registry).login !== undefined,
      originOf: async ({ registry }) => (await hostOf(registry)).origin,
      clock,

      async send(request) {
        const response = await exchange(request, http.send);
        if (request.expect.includes(response.status)) return response;
        const body = readBody(response, MAX_ERROR_BYTES, ERROR_MS, nameOf(request));
        throw refusal(request, response.status, await body.catch(() => Buffer.alloc(0)));
      },

      async fetch(request) {
        const { maxBytes } = request;
        const response = await exchange(request, (sent, options) => http.sendForBytes(sent, { ...options, maxBytes }));
        if (request.expect.includes(response.status)) return response;
        throw refusal(request, response.status, response.bytes);
      },
    };
  }

  return { access };
}

type Answer = AnswerHead & Partial<Pick<HttpResponse, 'body'>>;
type Send<R> = (request: HttpRequest, options: SendOptions) => Promise<R>;

function challengeIn({ headers }: AnswerHead, url: URL): Challenge | null {
  return parseChallenge(headers['www-authenticate'] ?? '', url) ?? null;
}

/** `quay.io/ceph/daemon: GET manifests/v6.0.7`: what errors call a request. */
function nameOf({ repository, method, path }: Pick<RegistryRequest, 'repository' | 'method' | 'path'>): string {
  const below = typeof path === 'string' ? path.split('?')[0] : path.pathname.split(`/${repository.path}/`)[1];
  return `${formatRepository(repository)}: ${method} ${below ?? ''}`;
}

function urlOf(host: Host, { repository, path }: RegistryRequest): URL {
  if (typeof path === 'string') return new URL(`/v2/${repository.path}/${path}`, host.origin);
  if (path.protocol === 'https:' || path.protocol === host.origin.protocol) return path;
  throw new ServiceError('bad-answer', `${formatRepository(repository)}: sends us to ${path.origin}, without TLS`);
}
