import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { findKnownHost, hostKeyProblem, keyType } from '../../../src/store/ssh/host-keys.js';
import { failure } from '../fixture.js';

const scratch = mkdtempSync(join(tmpdir(), 'host-keys-test-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** An ed25519 public key in SSH's wire format. */
function newKey(): Buffer {
  const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  const type = Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0\x20', 'latin1');
  return Buffer.concat([type, Buffer.from(x, 'base64url')]);
}

const [ours, other, revoked] = [newKey(), newKey(), newKey()];
const line = (hosts: string, key: Buffer) => `${hosts} ssh-ed25519 ${key.toString('base64')}`;
const server = (host: string, port: number) => ({ user: 'u', host, port, directory: '/d' });

const at22 = server('images.example', 22);
const at2222 = server('images.example', 2222);

describe('which keys are known', () => {
  test.each([
    ['a name', line('images.example', ours), at22],
    ['a name in capitals', line('Images.Example', ours), at22],
    ['one of several names', line('a.example,images.example,10.0.0.1', ours), at22],
    ['a pattern', line('*.example', ours), at22],
    ['a port', line('[images.example]:2222', ours), at2222],
    ['an IPv6 address', line('::1', ours), server('::1', 22)],
    ['an IPv6 address and port', line('[::1]:2222', ours), server('::1', 2222)],
    ['a hashed name', hashed(line('images.example', ours)), at22],
    ['a comment and blank lines around it', `# a comment\n\n  \n${line('images.example', ours)} comment # more`, at22],
    ['the host alone, for another port', line('images.example', ours), at2222],
    [
      'the host alone, beside a revoked key of the port',
      `@revoked ${line('[images.example]:2222', revoked)}\n${line('images.example', ours)}`,
      at2222,
    ],
    ['newlines as backslash and n', `# c\\n${line('images.example', ours)}\\n`, at22],
    ['quotes around the whole', `"${line('images.example', ours)}\n"`, at22],
    ['a byte order mark', `\ufeff${line('images.example', ours)}`, at22],
    ['carriage returns alone', `# c\r${line('images.example', ours)}\r`, at22],
    ['carriage returns', `${line('images.example', other)}\r\n${line('images.example', ours)}\r\n`, at22],
  ])('by %s', async (_, lines, where) => {
    const known = await findKnownHost(lines, where);
    expect(hostKeyProblem(known, ours)).toBeUndefined();
  });

  test.each([
    ['another key', line('images.example', other), at22, /not one of its known keys/],
    ['another host', line('other.example', ours), at22, /have no line/],
    ['the host at another port', line('[images.example]:22222', ours), at2222, /have no line; .*add the line: /],
    [
      'the host alone, beside another key of the port',
      `${line('[images.example]:2222', other)}\n${line('images.example', ours)}`,
      at2222,
      /not one of its known keys/,
    ],
    [
      'the host alone, beside the same key revoked at the port',
      `@revoked ${line('[images.example]:2222', ours)}\n${line('images.example', ours)}`,
      at2222,
      /mark as @revoked/,
    ],
    ['a pattern that excludes it', line('*.example,!images.example', ours), at22, /have no line/],
    ['a revoked key', `${line('images.example', ours)}\n@revoked ${line('*', ours)}`, at22, /mark as @revoked/],
    ['an authority', `@cert-authority ${line('*.example', ours)}`, at22, /@cert-authority is not supported/],
    ['garbage', 'images.example\nimages.example ssh-ed25519\nimages.example ssh-ed25519 !!!', at22, /have no line/],
  ])('not by %s', async (_, lines, where, why) => {
    const problem = hostKeyProblem(await findKnownHost(lines, where), ours);
    expect(problem?.kind).toBe('host-key');
    expect(problem?.message).toMatch(why);
    expect(problem?.message).toMatch(/ offered the key ssh-ed25519 SHA256:[A-Za-z0-9+/]{43},/);
  });

  test('a revoked key does not spoil the others', async () => {
    const lines = `${line('images.example', ours)}\n@revoked ${line('images.example', revoked)}`;
    const known = await findKnownHost(lines, at22);
    expect(hostKeyProblem(known, ours)).toBeUndefined();
    expect(hostKeyProblem(known, revoked)?.message).toMatch(/@revoked/);
  });

  test('the fingerprint is the one that ssh-keygen shows', async () => {
    const file = join(scratch, 'key.pub');
    writeFileSync(file, line('', ours).trim());
    const [, fingerprint = 'none'] = execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(' ');
    expect(hostKeyProblem(await findKnownHost(line('other', ours), at22), ours)?.message).toContain(fingerprint);
  });

  test('an empty input has its own error, and no file is left behind', async () => {
    expect((await failure(findKnownHost(' \n', at22))).message).toMatch(
      /^no host keys are known: images\.example needs a line/,
    );
    // Of its own: other tests keep such files for a moment, too.
    const { TMPDIR } = process.env;
    const directory = mkdtempSync(join(tmpdir(), 'no-file-stays-'));
    process.env.TMPDIR = directory;
    try {
      await findKnownHost(line('images.example', ours), at22);
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      rmSync(directory, { recursive: true });
    }
  });
});

describe('without ssh-keygen', () => {
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
  });

  test('it says what to install', async () => {
    process.env.PATH = '/nonexistent';
    expect(await failure(findKnownHost(line('images.example', ours), at22))).toEqual({
      kind: 'UserError',
      message: expect.stringMatching(/install openssh-client/),
    });
  });
});

test('the type of what is not a key', () => {
  expect(keyType(ours)).toBe('ssh-ed25519');
  expect(keyType(Buffer.from('ab'))).toBe('');
});

function hashed(text: string): string {
  const file = join(scratch, 'known_hosts');
  writeFileSync(file, `${text}\n`);
  execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
  const lines = readFileSync(file, 'utf8');
  if (!lines.startsWith('|1|')) throw new Error('ssh-keygen did not hash the name');
  return lines;
}
