import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseDockerConfig, readDockerLogins } from '../../src/registry/docker-config.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const config = JSON.stringify({
  auths: {
    'quay.io': { auth: base64('tripleo+robot:a:b') },
    'https://registry.test:5000/v2/': { auth: base64('user:secret') },
    'https://index.docker.io/v1/': { auth: base64('hub:secret') },
    'helped.test': {},
  },
  credHelpers: { 'helped.test': 'secretservice' },
});

test.each([
  ['quay.io', { username: 'tripleo+robot', password: 'a:b' }],
  ['registry.test:5000', { username: 'user', password: 'secret' }],
  ['docker.io', { username: 'hub', password: 'secret' }],
  ['helped.test', undefined],
  ['registry.test', undefined],
])('%s', (registry, login) => {
  expect(parseDockerConfig(config, 'config.json')(registry)).toEqual(login);
});

test('a file that is broken is named', () => {
  expect(() => parseDockerConfig('{', '/x/config.json')).toThrow(/^\/x\/config.json: not JSON/);
});

test('the file of DOCKER_CONFIG, or none', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'docker-config-'));
  try {
    expect((await readDockerLogins({ DOCKER_CONFIG: directory }))('quay.io')).toBeUndefined();
    await writeFile(join(directory, 'config.json'), config);
    expect((await readDockerLogins({ DOCKER_CONFIG: directory }))('quay.io')?.username).toBe('tripleo+robot');
  } finally {
    await rm(directory, { recursive: true });
  }
});
