import { expect, test } from '@jest/globals';
import { readSaid } from '../../src/http/said.js';

const JSON_TYPE = { 'content-type': 'application/json' };
const TEXT = { 'content-type': 'text/plain; charset=utf-8' };
const HTML = { 'content-type': 'text/html' };

test.each<[string, Record<string, string>, string, string]>([
  [
    'all errors, with their details',
    JSON_TYPE,
    '{"errors":[{"code":"DENIED","message":"no","detail":{"class":"x","list":["a",1]}},{"code":"UNKNOWN","message":null}]}',
    'DENIED (no; class: x; list: a; list: 1); UNKNOWN',
  ],
  ['an error', JSON_TYPE, '{"error":"no robot"}', 'no robot'],
  ['OAuth2', JSON_TYPE, '{"error":"invalid_grant","error_description":"expired"}', 'invalid_grant; expired'],
  ['an object in error', JSON_TYPE, '{"error":{"message":"no"}}', 'message: no'],
  ['one odd error among others', JSON_TYPE, '{"errors":[null,{"code":"DENIED"}]}', 'DENIED'],
  ['text', TEXT, 'too many requests\n', 'too many requests'],
  ['text without its type', {}, 'a secret', ''],
  ['text of many lines', TEXT, 'a\nb\nc', ''],
  ['control characters', TEXT, 'a\u0085b\u001b[31mc', 'a b [31mc'],
  ['a title', HTML, '<html><title>502 Bad Gateway</title><body>secret', '502 Bad Gateway'],
  ['no title', HTML, '<h1>secret</h1>', ''],
  ['markup in JSON', JSON_TYPE, '{"message":"<script>"}', ''],
  ['a password in escapes of JSON', JSON_TYPE, '{"message":"p\\\\u0061ss"}', ''],
  ['a password in escapes of HTML', TEXT, 'p&#97;ss', ''],
  ['a password in hex', TEXT, 'p\\x61ss', ''],
  ['a password in octal', TEXT, 'p\\141ss', ''],
  ['a password in a URL', TEXT, 'p%61ss', ''],
  ['JSON that is no object', JSON_TYPE, '"secret"', ''],
  ['other fields', JSON_TYPE, '{"request":{"password":"secret"}}', ''],
  ['nothing', JSON_TYPE, '', ''],
])('%s', (_, headers, body, text) => {
  expect(readSaid({ headers, body }).text).toBe(text);
  expect(readSaid({ headers, body: Buffer.from(body) }).text).toBe(text);
});

test('nothing is shown of an answer from another host', () => {
  expect(readSaid({ headers: JSON_TYPE, body: '{"error":"inner"}', elsewhere: 'inner.test' }).text).toBe('');
});

test('a body is cut before it is parsed, and what is shown is cut too', () => {
  for (const body of ['<'.repeat(5_000_000), `<title>${'<'.repeat(5_000_000)}`, '{"a":'.repeat(1_000_000)]) {
    expect(readSaid({ headers: HTML, body }).text).toBe('');
  }
  // What is cut off is not parsed, so the rest is no JSON.
  const long = JSON.stringify({ error: 'seen', pad: 'x'.repeat(20_000) });
  for (const body of [long, Buffer.from(long)]) expect(readSaid({ headers: JSON_TYPE, body }).text).toBe('');
  const { text } = readSaid({ headers: JSON_TYPE, body: JSON.stringify({ error: 'x '.repeat(2000) }) });
  expect(text).toHaveLength(400);
});
