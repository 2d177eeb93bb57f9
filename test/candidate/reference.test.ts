import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import {
  candidateSchema,
  canonicalRepository,
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
    'quay.io./x',
    '[::ffff:127.0.0.1]:5000/x',
    'quay.io/x\n',
    'quay.io:99999/x',
    '999.0.0.1/x',
    '[:::]/x',
    `quay.io/${'a'.repeat(250)}`,
  ])('is not %j', (text) => expect(v.is(repositorySchema, text)).toBe(false));

  test.each([
    // Names of one repository, then the name to compare them by.
    ['quay.io/a/b', 'quay.io/a/b'],
    ['Quay.IO/a/b', 'quay.io/a/b'],
    ['quay.io:443/a/b', 'quay.io/a/b'],
    ['quay.io:0443/a/b', 'quay.io/a/b'],
    ['quay.io:80/a/b', 'quay.io/a/b'],
    ['quay.io:80/a/b', 'quay.io/a/b'],
    ['quay.io:0443/a/b', 'quay.io/a/b'],
    ['quay.io:05000/a/b', 'quay.io:5000/a/b'],
    ['localhost/a', 'localhost/a'],
    ['localhost:443/a', 'localhost/a'],
    ['LOCALHOST:5000/a', 'localhost:5000/a'],
    ['127.0.0.1:5000/a', 'localhost:5000/a'],
    ['127.1:5000/a', 'localhost:5000/a'],
    ['127.0.1.1:5000/a', 'localhost:5000/a'],
    ['0177.0.0.1:5000/a', 'localhost:5000/a'],
    ['2130706433:5000/a', 'localhost:5000/a'],
    ['0x7f.1:5000/a', 'localhost:5000/a'],
    ['0.0.0.0:5000/a', 'localhost:5000/a'],
    ['[::1]:5000/a', 'localhost:5000/a'],
    ['[0:0:0:0:0:0:0:1]:5000/a', 'localhost:5000/a'],
    ['[::ffff:7f00:1]:5000/a', 'localhost:5000/a'],
    ['[::]:5000/a', 'localhost:5000/a'],
    ['registry.localhost:5000/a', 'localhost:5000/a'],
    ['docker.io/ceph/daemon', 'docker.io/ceph/daemon'],
    ['index.docker.io/ceph/daemon', 'docker.io/ceph/daemon'],
    ['registry-1.docker.io:443/ceph/daemon', 'docker.io/ceph/daemon'],
    ['Registry.Hub.Docker.com/ceph/daemon', 'docker.io/ceph/daemon'],
    ['docker.io/alpine', 'docker.io/library/alpine'],
    ['docker.io/library/alpine', 'docker.io/library/alpine'],
    // Others.
    ['quay.io/a', 'quay.io/a'],
    ['quay.io:5000/a/b', 'quay.io:5000/a/b'],
    ['docker.io.example.org/a', 'docker.io.example.org/a'],
    ['localhost.example.org/a', 'localhost.example.org/a'],
    ['127.0.0.1.example.org/a', '127.0.0.1.example.org/a'],
    ['128.0.0.1:5000/a', '128.0.0.1:5000/a'],
    ['[2001:db8::1]/a', '[2001:db8::1]/a'],
  ])('%s is compared as %s', (text, canonical) => {
    const repository = v.parse(repositorySchema, text);
    expect(canonicalRepository(repository)).toBe(canonical);
    expect(sameRepository(repository, v.parse(repositorySchema, canonical))).toBe(true);
    expect(formatRepository(repository)).toBe(text);
  });

  test.each([
    ['quay.io/a', 'quay.io/b'],
    ['quay.io/a', 'quay.io:5000/a'],
    ['localhost:5000/a', 'localhost:5001/a'],
    ['docker.io/a/b', 'quay.io/a/b'],
  ])('%s is not %s', (a, b) => {
    expect(sameRepository(v.parse(repositorySchema, a), v.parse(repositorySchema, b))).toBe(false);
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
