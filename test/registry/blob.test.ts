import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { HttpResponse } from '../../src/http/transport.js';
import { openBlob } from '../../src/registry/blob.js';
import { createMemory } from '../../src/registry/memory.js';
import type { Access, RegistryRequest } from '../../src/registry/session.js';
import { digest, hastyClock, repository } from './support.js';

const bytes = Buffer.from(Array.from({ length: 1000 }, (_, n) => n % 256));
const blob = {
  mediaType: 'application/x',
  digest: digest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`),
  size: bytes.length,
};

interface Part {
  readonly status?: number;
  readonly range?: string;
  readonly bytes: Buffer;
  /** Then it breaks. */
  readonly breaks?: true;
}

/** Answers one request after the other with these parts; keeps what was asked. */
function scripted(parts: readonly Part[]): { access: Access; asked: (string | undefined)[] } {
  const asked: (string | undefined)[] = [];
  const rest = parts.values();
  const access: Access = {
    clock: hastyClock,
    memory: createMemory(),
    hasLogin: () => false,
    refusal: () => Promise.reject(new TypeError('not used')),
    challenge: async () => null,
    originOf: async () => new URL('https://registry.test'),
    fetch: () => Promise.reject(new Error('not asked here')),
    async send({ headers }: RegistryRequest): Promise<HttpResponse> {
      asked.push(headers?.range);
      const part = rest.next().value;
      if (part === undefined) throw new Error('asked once too often');
      async function* body(sent: Part) {
        for (let at = 0; at < sent.bytes.length; at += 300) yield sent.bytes.subarray(at, at + 300);
        if (sent.breaks) throw new Error('broken');
      }
      const answered: Record<string, string> = part.range === undefined ? {} : { 'content-range': part.range };
      return { status: part.status ?? 200, headers: answered, body: body(part) };
    },
  };
  return { access, asked };
}

async function read(parts: readonly Part[], offsets: readonly number[] = [0]) {
  const { access, asked } = scripted(parts);
  const reader = openBlob(access, repository('registry.test/a'), blob);
  const chunks: Uint8Array[] = [];
  for (const offset of offsets) {
    chunks.length = 0;
    for await (const chunk of reader.from(offset)) chunks.push(chunk);
  }
  return { read: Buffer.concat(chunks), asked, end: reader.end };
}

const half = { bytes: bytes.subarray(0, 450), breaks: true } as const;

test('as a whole', async () => {
  expect(await read([{ bytes }])).toEqual({ read: bytes, asked: [undefined], end: 1000 });
});

test('what never arrived is asked for by Range', async () => {
  const rest = { status: 206, range: 'bytes 450-999/1000', bytes: bytes.subarray(450) };
  expect(await read([half, rest])).toEqual({ read: bytes, asked: [undefined, 'bytes=450-'], end: 1000 });
});

test('a body that ends early without an error counts as broken off, too', async () => {
  const early = { bytes: bytes.subarray(0, 450) };
  const rest = { status: 206, range: 'bytes 450-999/1000', bytes: bytes.subarray(450) };
  expect((await read([early, rest])).read).toEqual(bytes);
});

test('a server without Range starts from the beginning', async () => {
  expect(await read([half, { bytes }])).toEqual({ read: bytes, asked: [undefined, 'bytes=450-'], end: 1000 });
});

test('what is read again is counted once', async () => {
  const rest = { status: 206, range: 'bytes 100-999/1000', bytes: bytes.subarray(100) };
  expect((await read([{ bytes }, rest], [0, 100])).read).toEqual(bytes.subarray(100));
});

const turned = Buffer.concat([Buffer.from([bytes.readUInt8(0) ^ 1]), bytes.subarray(1)]);

describe('refused', () => {
  test.each<[string, readonly Part[], string, RegExp]>([
    ['other bytes', [{ bytes: turned }], 'digest-mismatch', /sent bytes of sha256:/],
    ['more bytes', [{ bytes: Buffer.concat([bytes, bytes]) }], 'digest-mismatch', /more than its 1000 bytes/],
    [
      'another range',
      [half, { status: 206, range: 'bytes 0-549/1000', bytes: half.bytes }],
      'bad-answer',
      /got bytes 0-549/,
    ],
    [
      'breaks without progress',
      Array(5).fill({ bytes: Buffer.alloc(0), breaks: true }),
      'unreachable',
      /broke off at 0 of 1000 bytes/,
    ],
  ])('%s', async (_, parts, kind, message) => {
    await expect(read(parts)).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  test('if the last piece is wrong, nothing of it is passed on', async () => {
    const wrong = Buffer.concat([bytes.subarray(0, 999), Buffer.from([0])]);
    const chunks: Uint8Array[] = [];
    const reading = async () => {
      const reader = openBlob(scripted([{ bytes: wrong }]).access, repository('registry.test/a'), blob);
      for await (const chunk of reader.from(0)) chunks.push(chunk);
    };
    await expect(reading()).rejects.toMatchObject({ kind: 'digest-mismatch' });
    expect(Buffer.concat(chunks)).toHaveLength(900);
  });
});
