import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sandbox } from '../sandbox/current.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { type Registry, startRegistry } from '../sandbox/registry.js';
import { startTokenServer, type TokenServer } from '../sandbox/token-server.js';
import { client, closeAll, repository } from './support.js';

/** Who does not log in gets a token that may pull, although one that may push was asked for: as Quay does it. */

const login = { username: 'tripleo+robot', password: 'password' };
const started: Stoppable[] = [];
let tokens: TokenServer;
let registry: Registry;
let storage: string;

beforeAll(async () => {
  const run = await runDirectory();
  started.push(run);
  storage = join(run.path, 'registry');
  tokens = await startTokenServer({ directory: join(run.path, 'tokens'), login });
  started.push(tokens);
  registry = await startRegistry({ tools: sandbox().tools, directory: storage, tokens: tokens.issuer });
  started.push(registry);
});
afterEach(closeAll);
afterAll(async () => {
  for (const server of started.reverse()) await server.stop();
});

const target = () => repository(`${registry.host}/tripleo/daemon`);
const stored = async () => (await readdir(storage, { recursive: true })).filter((name) => name.includes('tripleo'));

test('an account that may push is told so, and nothing is created', async () => {
  await expect(client({ login }).repository(target()).checkPush()).resolves.toBe(true);
  expect(tokens.requests.at(-1)).toEqual({ scopes: ['repository:tripleo/daemon:pull,push'], who: 'login' });
  expect(await stored()).toEqual([]);
});

test('an account that may only pull is refused, with a hint at the login', async () => {
  await expect(client().repository(target()).checkPush()).rejects.toMatchObject({
    message: expect.stringMatching(/tripleo\/daemon: PATCH blobs\/uploads.* answered 40[13] /),
    hint: 'log-in-to-target',
  });
  expect(await stored()).toEqual([]);
});
