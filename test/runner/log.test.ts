import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Tone } from '../../src/base/log.js';
import { createLog, inert, Redactor, runnerMasks } from '../../src/runner/log.js';

const PEM = '-----BEGIN KEY-----\nabcdefgh ijklmnop\nshort\n-----END KEY-----\n';
const JSON_KEY = '{\n  "type": "robot",\n  "private_key": "abcdefgh"\n}';

function redactor(...secrets: string[]): Redactor {
  const made = new Redactor();
  for (const secret of secrets) made.add('password', secret);
  return made;
}

describe('secrets in text for people', () => {
  test.each([
    ['a whole secret', 'daemon', 'ceph/daemon:v1', 'ceph/***:v1'],
    ['its form in a URL', 'p+ss', 'p+ss p%2Bss p%2bss', '*** *** ***'],
    ['its form in hex', 'daemon', '6461656d6f6e 6461656D6F6E', '*** ***'],
    ['not the hex of a short secret', 'abc', '616263', '616263'],
    ['its form in the base64 of URLs', 'p+/a?ss~word>>>x', 'cCsvYT9zc353b3JkPj4-eA', '***A'],
    ['a longer line of a key, but not its frame', PEM, 'abcdefgh ijklmnop -----END KEY-----', '*** -----END KEY-----'],
    ['all of a key', PEM, `<${PEM}>`, '<***\n>'],
    ['all of a JSON key as JSON quotes it', JSON_KEY, JSON.stringify({ key: JSON_KEY }), '{"key":"***"}'],
    ['not the short lines of a JSON key', JSON_KEY, '{"a": 1}\n}', '{"a": 1}\n}'],
    ['not the short lines of a key', PEM, 'short', 'short'],
  ])('%s is replaced', (_, secret, text, expected) => {
    expect(redactor(secret).redact(text)).toBe(expected);
  });

  test('a secret in base64 is replaced, whatever is before and after it', () => {
    const secret = 'correct horse';
    for (const user of ['', 'u', 'us', 'use', 'user']) {
      for (const end of ['', '\n', '!!']) {
        const told = redactor(secret).redact(Buffer.from(`${user}:${secret}${end}`).toString('base64'));
        expect(told).toMatch(/^[A-Za-z0-9+/]*\*\*\*[A-Za-z0-9+/]{0,4}=*$/);
      }
    }
  });

  test('the replacement for a secret names the input', () => {
    expect(redactor('daemon').find('ceph/daemon:v1')).toBe('password');
    expect(redactor('daemon').find('ceph/ceph:v1')).toBeUndefined();
  });
});

test.each([
  ['a password', 'daemon', ['daemon']],
  ['a key', PEM, ['abcdefgh ijklmnop']],
  ['a JSON key', JSON_KEY, ['"type": "robot",', '"private_key": "abcdefgh"']],
])('for %s a runner masks nothing that occurs in other texts', (_, secret, expected) => {
  expect(runnerMasks(secret)).toEqual(expected);
});

describe('text from outside is never a command to the runner', () => {
  test.each([
    ['a command', '::set-output name=x::y', ': :set-output name=x::y'],
    ['a command on a later line', 'a\n  ::error::z', 'a\n  : :error::z'],
    ['a command of the older form', '##[error]w', '## [error]w'],
    ['U+0085', 'hash\u0085::stop-commands::x', 'hash\\u0085::stop-commands::x'],
    ['U+0085 at the start of a line', 'hash\n\u0085::stop-commands::x', 'hash\n\\u0085::stop-commands::x'],
    ['a carriage return', 'a\r::error::z', 'a\\u000d::error::z'],
    ['a line separator', 'a\u2028::error::z', 'a\\u2028::error::z'],
    ['an escape sequence', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
    ['a change of direction', 'a\u202eb', 'a\\u202eb'],
    ['a zero-width space', '\u200b::error::z', '\u200b: :error::z'],
    ['a byte order mark', 'a\n\ufeff::error::z', 'a\n\ufeff: :error::z'],
    ['a NUL', '\u0000::error::z', '\\u0000::error::z'],
    // What .NET's String.TrimStart strips.
    ...[0xa0, 0x1680, 0x2000, 0x200a, 0x202f, 0x205f, 0x3000].map((code) => {
      const blank = String.fromCharCode(code);
      return [`the blank ${code.toString(16)}`, `a\n${blank}::error::z`, `a\n${blank}: :error::z`] as const;
    }),
  ])('%s', (_, text, expected) => {
    expect(inert(text)).toBe(expected);
  });

  test('many empty lines, in a time that is proportional to them', () => {
    const lines = '\n'.repeat(100_000);
    expect(inert(`${lines}x`)).toBe(`${lines}x`);
  });

  test('other text stays as it is', () => {
    const text = 'a::b\n\t- ünïcödé 👩‍🔬 [x](y)\n';
    expect(inert(text)).toBe(text);
  });
});

describe('colours', () => {
  const { env } = process;
  let written: string[];
  beforeEach(() => {
    written = [];
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    process.env = env;
  });

  test.each<[string, NodeJS.ProcessEnv, Tone | undefined, string]>([
    ['a runner shows them', { GITHUB_ACTIONS: 'true' }, 'good', '\u001b[32mmet\u001b[0m'],
    ['a line without a tone has none', { GITHUB_ACTIONS: 'true' }, undefined, 'met'],
    ['a user turned them off', { GITHUB_ACTIONS: 'true', NO_COLOR: '1' }, 'bad', 'met'],
    ['a file has none', {}, 'bad', 'met'],
  ])('%s', (_, variables, tone, line) => {
    process.env = variables;
    createLog(redactor()).info('met', tone);
    expect(written.join('').trim()).toBe(line);
  });
});
