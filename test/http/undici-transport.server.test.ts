import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../src/base/clock.js';
import { createHttp, defaultPolicy } from '../../src/http/policy.js';
import { type UndiciOptions, type UndiciTransport, undiciTransport } from '../../src/http/undici-transport.js';
import { client, closeAll, copyOf, createLines, repository, tag } from '../registry/support.js';
import { startTlsFront, type TlsFront, type TlsFrontOptions } from '../registry/tls-front.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { runDirectory } from '../sandbox/process.js';

const { source, tools } = sandbox();
const image = buildMultiPlatform({ layers: Array(12).fill(100_000), seed: 'tls' });
const plain = { referrers: false };
const stops: (() => unknown)[] = [];
let directory: Awaited<ReturnType<typeof runDirectory>>;
let slow: FaultProxy;

beforeAll(async () => {
  directory = await runDirectory();
  slow = await startFaultProxy({ upstream: source.url, delayMs: 50 });
});
afterEach(async () => {
  await closeAll();
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(async () => {
  await slow.stop();
  await directory.stop();
});

async function tlsFront(options: Partial<TlsFrontOptions>): Promise<TlsFront> {
  const own = join(directory.path, freshRepository());
  const front = await startTlsFront({
    nginx: tools.nginx,
    directory: own,
    upstream: slow.url,
    http2: true,
    ...options,
  });
  stops.push(front.stop);
  return front;
}

function transport(options: UndiciOptions = {}): UndiciTransport {
  const made = undiciTransport(options);
  stops.push(made.close);
  return made;
}

async function get(url: string, options: UndiciOptions = {}): Promise<string> {
  const { body } = await transport(options).transport(
    { method: 'GET', url: new URL(url) },
    new AbortController().signal,
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function pushed(): Promise<string> {
  const name = freshRepository();
  await pushImage({ url: source.url, repository: name }, image, ['v1']);
  return name;
}

describe('over TLS', () => {
  test('HTTP/2: a copy by mount uses one connection, with its requests in parallel', async () => {
    // The 26 mounts wait for nothing of each other: none is answered before 17 have been asked for.
    let asked = 0;
    let answer = (): void => undefined;
    const enough = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const counting = await startFaultProxy({
      upstream: slow.url,
      onRequest: (_, { path }) => {
        if (!path.includes('mount=')) return undefined;
        asked += 1;
        if (asked === 17) answer();
        return enough;
      },
    });
    stops.push(counting.stop);
    const front = await tlsFront({ upstream: counting.url });
    const copy = copyOf(`${front.host}/${await pushed()}`, image, `${front.host}/${freshRepository()}`);
    const registry = client({ ca: front.ca });
    expect(await registry.copy([copy], plain)).toMatchObject([{ mounted: { blobs: 26 } }]);
    const requests = await front.requests();
    expect(requests).toHaveLength(33);
    expect(new Set(requests.map(({ protocol, connection }) => `${protocol} ${connection}`)).size).toBe(1);
    expect(requests[0]?.protocol).toBe('HTTP/2.0');
  });

  test('HTTP/2: a copy across registries that both end their connections after a few requests', async () => {
    const [front, back] = [
      await tlsFront({ requestsPerConnection: 10 }),
      await tlsFront({ requestsPerConnection: 10 }),
    ];
    const copy = copyOf(`${front.host}/${await pushed()}`, image, `${back.host}/${freshRepository()}`);
    const registry = client({ ca: front.ca + back.ca });
    expect(await registry.copy([copy], plain)).toMatchObject([{ state: 'copied' }]);
    expect(await registry.repository(copy.target.repository).resolve(copy.target.tag)).toMatchObject({
      digest: image.digest,
    });
    expect(new Set((await front.requests()).map(({ connection }) => connection)).size).toBeGreaterThan(1);
  });

  test('HTTP/1.1 if the server has nothing newer', async () => {
    const front = await tlsFront({ http2: false });
    const copy = copyOf(`${front.host}/${await pushed()}`, image, `${front.host}/${freshRepository()}`);
    await client({ ca: front.ca }).copy([copy], plain);
    const requests = await front.requests();
    expect(new Set(requests.map(({ protocol }) => protocol))).toEqual(new Set(['HTTP/1.1']));
    expect(new Set(requests.map(({ connection }) => connection)).size).toBeGreaterThan(1);
  });

  test('a certificate that nobody trusts', async () => {
    const front = await tlsFront({});
    const other = await tlsFront({});
    const asked = client({ ca: other.ca })
      .repository(repository(`${front.host}/a/b`))
      .resolve(tag('v1'));
    await expect(asked).rejects.toMatchObject({
      kind: 'unreachable',
      hint: 'trust-certificate',
    });
  });

  test("a server without TLS: the way out is the caller's, or else the server is named", async () => {
    const url = `https://${source.host}/v2/`;
    const kind = 'unreachable';
    await expect(get(url, { withoutTls: 'use-plain-http' })).rejects.toMatchObject({ kind, hint: 'use-plain-http' });
    await expect(get(url)).rejects.toMatchObject({ kind, hint: undefined, host: source.host });
  });

  test('a loopback host without TLS is asked over http, even if there is a CA', async () => {
    const { ca } = await tlsFront({});
    expect(
      await client({ ca })
        .repository(repository(`${source.host}/no/such`))
        .resolve(tag('v1')),
    ).toBeUndefined();
  });
});

describe('bodies', () => {
  test('one that arrives a byte at a time is given up', async () => {
    const proxy = await startFaultProxy({ upstream: source.url, rules: [{ fault: { kind: 'drip', everyMs: 20 } }] });
    stops.push(proxy.stop);
    await expect(get(`${proxy.url}/v2/ceph/daemon/tags/list`, { bodyIdleMs: 200 })).rejects.toThrow(
      'less than 65536 bytes within 0.2 s',
    );
  });

  test('our own pauses are not counted against the server', async () => {
    const { body } = await transport({ bodyIdleMs: 1000 }).transport(
      { method: 'GET', url: new URL(`${source.url}/v2/ceph/daemon/tags/list`) },
      new AbortController().signal,
    );
    for await (const _ of body) await new Promise((resolve) => setTimeout(resolve, 1200));
  });

  test('an error in a stream that is sent is the error of its request', async () => {
    const failing = async function* () {
      yield Buffer.alloc(100_000);
      throw new Error('the source broke');
    };
    const sent = transport().transport(
      { method: 'PUT', url: new URL(`${source.url}/v2/`), headers: { 'content-length': '200000' }, body: failing },
      new AbortController().signal,
    );
    await expect(sent).rejects.toThrow('the source broke');
  });
});

describe('the time limit of a request whose body is a stream', () => {
  async function put(body: () => AsyncGenerator<Buffer>, answers: boolean): Promise<number> {
    const server = createServer(async (request, response) => {
      for await (const _ of request);
      if (answers) response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stops.push(() => server.closeAllConnections());
    stops.push(() => server.close());
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const policy = { ...defaultPolicy, answerMs: 1000 };
    const http = createHttp({ transport: transport().transport, policy, clock: systemClock, log: createLines() });
    const url = new URL(`http://127.0.0.1:${address.port}/`);
    return (await http.send({ method: 'PUT', url, body }, { idempotent: false })).status;
  }

  async function* slowly() {
    for (let n = 0; n < 2; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1200));
      yield Buffer.from('piece');
    }
  }

  test('does not count the time that its source takes', async () => {
    expect(await put(slowly, true)).toBe(200);
  });

  test('applies to the answer', async () => {
    await expect(put(slowly, false)).rejects.toMatchObject({ kind: 'timeout' });
  });
});

describe('proxies', () => {
  const saved = { ...process.env };
  afterEach(() => {
    process.env = { ...saved };
  });

  /** A proxy that knows CONNECT and whole URLs, and leads every host to the sandbox. */
  async function startProxy(): Promise<{ readonly url: string; readonly asked: string[] }> {
    const asked: string[] = [];
    const server: Server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.end('by proxy');
    });
    server.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      const onward = connect(Number(request.url?.split(':')[1]), '127.0.0.1');
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stops.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return { url: `http://127.0.0.1:${address.port}`, asked };
  }

  test('http is sent with whole URLs, except to loopback hosts and those in NO_PROXY', async () => {
    const proxy = await startProxy();
    process.env.HTTP_PROXY = proxy.url;
    process.env.NO_PROXY = 'direct.test';
    expect(await get('http://registry.test/v2/')).toBe('by proxy');
    expect(await get(`${source.url}/v2/`)).toBe('{}');
    await expect(get('http://direct.test/v2/')).rejects.toThrow();
    expect(proxy.asked).toEqual(['GET http://registry.test/v2/']);
  });

  test('https goes through a tunnel, and the CA is used there too', async () => {
    const proxy = await startProxy();
    const front = await tlsFront({});
    process.env.HTTPS_PROXY = proxy.url;
    const [, port] = front.host.split(':');
    expect(await get(`https://registry.test:${port}/v2/`, { ca: front.ca })).toBe('{}');
    expect(proxy.asked).toEqual([`CONNECT registry.test:${port}`]);
    await expect(get(`https://registry.test:${port}/v2/`)).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('a registry without TLS may be one that speaks http', async () => {
    const proxy = await startProxy();
    process.env.HTTPS_PROXY = proxy.url;
    const [, port] = source.host.split(':');
    const there = client().repository(repository(`registry.test:${port}/a/b`));
    await expect(there.resolve(tag('v1'))).rejects.toMatchObject({ kind: 'unreachable', hint: 'use-plain-http' });
  });

  test("a proxy over TLS whose certificate nobody trusts is what the error is about, not the host's", async () => {
    const front = await tlsFront({});
    process.env.HTTP_PROXY = process.env.HTTPS_PROXY = `https://${front.host}`;
    for (const url of ['http://registry.test/', 'https://registry.test/']) {
      await expect(get(url)).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringMatching(/^the proxy \S+ \(HTTPS?_PROXY\): its certificate is from an authority/),
        hint: 'trust-certificate',
      });
    }
  });
});
