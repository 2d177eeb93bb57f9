import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import {
  candidateSchema,
  digestSchema,
  formatCandidate,
  formatRepository,
  repositorySchema,
  sameRepository,
  tagSchema,
} from '../../src/candidate/reference.js';

const digest = `sha256:${'0a'.repeat(32)}`;

describe('a tag', () => {
  test.each(['latest', '_x', '9.4.7', 'a'.repeat(128)])('%s', (text) => expect(v.is(tagSchema, text)).toBe(true));

  test.each(['', '.', '../x', '-oProxyCommand=x', 'a b', 'a\n', 'a/b', 'a:b', 'é', 'a'.repeat(129)])(
    'is not %j',
    (text) => expect(v.is(tagSchema, text)).toBe(false),
  );
});

describe('a digest', () => {
  test.each(['', digest.slice(0, -1), `${digest}0`, `${digest}\n`, digest.toUpperCase(), digest.replace('256', '512')])(
    'is not %j',
    (text) => expect(v.is(digestSchema, text)).toBe(false),
  );
});

describe('a repository', () => {
  test.each([
    ['quay.io/ceph/daemon', 'quay.io', 'ceph/daemon'],
    ['localhost/x', 'localhost', 'x'],
    ['127.0.0.1:5000/a/b-c/d_e/f.g', '127.0.0.1:5000', 'a/b-c/d_e/f.g'],
    ['[::1]:5000/x', '[::1]:5000', 'x'],
  ])('%s', (text, registry, path) => {
    const repository = v.parse(repositorySchema, text);
    expect(repository).toEqual({ registry, path });
    expect(formatRepository(repository)).toBe(text);
  });

  test.each([
    '',
    'ceph/daemon',
    'quay.io',
    'quay.io/',
    '/x',
    'quay.io/Ceph',
    'quay.io/a//b',
    'quay.io/../x',
    'https://quay.io/x',
    'quay.io/x:tag',
    'user@quay.io/x',
    'quay.io/x\n',
    `quay.io/${'a'.repeat(250)}`,
  ])('is not %j', (text) => expect(v.is(repositorySchema, text)).toBe(false));

  test('is another on another registry or path', () => {
    const [a, b, c] = ['quay.io/a', 'quay.io/b', 'quay.io:443/a'].map((text) => v.parse(repositorySchema, text));
    if (a === undefined || b === undefined || c === undefined) throw new Error('no repositories');
    expect([sameRepository(a, { ...a }), sameRepository(a, b), sameRepository(a, c)]).toEqual([true, false, false]);
  });
});

describe('a candidate', () => {
  test.each([`quay.io/ceph/daemon:v6.0.7@${digest}`, `localhost:5000/x:latest@${digest}`])('%s', (text) => {
    expect(formatCandidate(v.parse(candidateSchema, text))).toBe(text);
  });

  test.each([
    '',
    'null',
    'quay.io/x:t',
    `quay.io/x@${digest}`,
    `x:t@${digest}`,
    `quay.io/x:-t@${digest}`,
    `quay.io/x:t@${digest} `,
    `quay.io/x:t@${digest}@${digest}`,
  ])('is not %j', (text) => expect(v.is(candidateSchema, text)).toBe(false));
});
