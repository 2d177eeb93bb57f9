import { describe, expect, test } from '@jest/globals';
import ssh2 from 'ssh2';
import { readPrivateKey } from '../../../src/store/ssh/private-key.js';

const pairs = {
  ed25519: ssh2.utils.generateKeyPairSync('ed25519'),
  ecdsa: ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }),
  rsa: ssh2.utils.generateKeyPairSync('rsa', { bits: 1024 }),
};
const lines = (key: string) => key.trim().split('\n');

/** What forms, shells, YAML and secret stores do to a key, and what it still means. */
const forms: Record<string, (key: string) => string> = {
  'as it is': (key) => key,
  'no final newline': (key) => key.trim(),
  'CR and LF': (key) => key.replaceAll('\n', '\r\n'),
  'CR alone': (key) => key.replaceAll('\n', '\r'),
  'newlines as backslash and n': (key) => key.trim().replaceAll('\n', '\\n'),
  'newlines as backslash r and backslash n': (key) => key.trim().replaceAll('\n', '\\r\\n'),
  'one line, with blanks': (key) => lines(key).join(' '),
  'one line, joined': (key) => lines(key).join(''),
  'base64 of the file': (key) => Buffer.from(key).toString('base64'),
  'base64 of the file, wrapped': (key) =>
    (
      Buffer.from(key)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    ).join('\n'),
  'base64 of the file with CR and LF': (key) => Buffer.from(key.replaceAll('\n', '\r\n')).toString('base64'),
  indented: (key) =>
    lines(key)
      .map((line) => `    ${line}`)
      .join('\n'),
  'indented by tabs': (key) =>
    lines(key)
      .map((line) => `\t${line}`)
      .join('\n'),
  'blank lines between': (key) => lines(key).join('\n\n'),
  'blanks at the ends of lines': (key) => lines(key).join('  \n'),
  'double quotes': (key) => `"${key.trim()}"`,
  'single quotes, and newlines as backslash and n': (key) => `'${key.trim().replaceAll('\n', '\\n')}\\n'`,
  'a byte order mark': (key) => `\ufeff${key}`,
  'text around it': (key) => `my key:\n${key}\nthat was it`,
  'no END line': (key) => lines(key).slice(0, -1).join('\n'),
};

describe.each(Object.entries(pairs))('an %s key', (_, pair) => {
  test.each(Object.entries(forms))('%s', async (_form, deform) => {
    const { publicLine, offers } = await readPrivateKey(deform(pair.private));
    expect(publicLine).toBe(pair.public.trim().split(' ').slice(0, 2).join(' '));
    for (const offer of offers) expect(offer.isPrivateKey()).toBe(true);
  });
});

test("OpenSSH's own format is recognized without its header and footer", async () => {
  const body = lines(pairs.ed25519.private).slice(1, -1);
  for (const text of [body.join('\n'), [...body, '-----END OPENSSH PRIVATE KEY-----'].slice(0, -1).join(' ')]) {
    expect((await readPrivateKey(text)).publicLine).toMatch(/^ssh-ed25519 AAAA/);
  }
});

test('an rsa key is offered with SHA-512 first, then as ssh2 chooses', async () => {
  const { offers } = await readPrivateKey(pairs.rsa.private);
  expect(offers.map(({ type }) => type)).toEqual(['rsa-sha2-512', 'ssh-rsa']);
});

describe('other keys are refused, with the name of their format', () => {
  const half = pairs.ed25519.private.slice(0, 200);
  test.each([
    ["PuTTY's", 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n', /PuTTY's format: convert it with `puttygen/],
    ['a path', '~/.ssh/id_ed25519', /is a path/],
    ['an absolute path', '/home/me/.ssh/id_rsa', /is a path/],
    ['a path of Windows', 'C:\\Users\\me\\id_rsa', /is a path/],
    ['asterisks', '***', /is only asterisks/],
    ['a public key', pairs.ed25519.public, /is a public key/],
    ['a public key in PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /is a public key/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /is a certificate/],
    ['half a key', half, /is cut off: it has no line -----END … PRIVATE KEY-----$/],
    [
      'a key without its middle',
      `${half}\n-----END OPENSSH PRIVATE KEY-----`,
      /is not a private key .* or it is incomplete$/,
    ],
    ['another character in it', pairs.ed25519.private.replace('\n', '\n#'), /has characters between BEGIN and END/],
    ['base64 of something else', Buffer.from('x'.repeat(100)).toString('base64'), /has no line -----BEGIN/],
    ['blanks', '   ', /has no line -----BEGIN/],
    ['a word', 'secret', /has no line -----BEGIN/],
  ])('%s', async (_, text, why) => {
    const message = await readPrivateKey(text).then(
      () => 'taken',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
    expect(message).toMatch(why);
    for (const line of text.split('\n')) if (line.length > 20) expect(message).not.toContain(line);
  });
});
