import { expect, test } from '@jest/globals';
import { errorText } from '../../src/http/error-text.js';

test.each<[string, string, string]>([
  ['a message in JSON', '{"message": "no\\nsuch hash"}', 'no such hash'],
  ['a title in HTML', '<!doctype html><html><TITLE>500 Oh</TITLE><p>It broke', '500 Oh'],
  ['JSON without a message', '{"password": "secret"}', ''],
  ['a message that is no text', '{"message": {"password": "secret"}}', ''],
  ['plain text', 'Unauthorized: secret', ''],
  ['nothing', '', ''],
  ['half a JSON', '{"message": "no', ''],
  ['a long message', `{"message": "${'x'.repeat(900)}"}`, `${'x'.repeat(199)}…`],
])('%s', (_, body, text) => {
  expect(errorText(body)).toBe(text);
});

test('of a huge body only the beginning is looked at', () => {
  expect(errorText(`${'<title>'.repeat(200_000)}Oh</title>`)).toBe('');
  expect(errorText('<'.repeat(10_000_000))).toBe('');
});
