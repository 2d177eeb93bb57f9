import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type SFTPWrapper } from 'ssh2';
import { freshImageDirectory, sandbox } from './current.js';
import { buildImage, pushImage } from './images.js';
import { RUN_OWNER, runDirectory, type Stoppable } from './process.js';
import { projectRoot, sandboxHome } from './project.js';
import { basicAuthorization, makeCertificate, startRegistry } from './registry.js';
import { addUserKey } from './sshd.js';
import { startTokenServer } from './token-server.js';

/** The status of a GET, or undefined where nobody answers. */
async function httpStatus(url: string): Promise<number | undefined> {
  try {
    return (await fetch(url)).status;
  } catch {
    return undefined;
  }
}

async function openSftp(privateKey: string): Promise<{ sftp: SFTPWrapper; end: () => void }> {
  const { port, username } = sandbox().imageServer.sshd;
  const client = new Client();
  const ready = once(client, 'ready');
  client.connect({ host: '127.0.0.1', port, username, privateKey });
  await ready;
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) =>
    client.sftp((error, session) => (error === undefined ? resolve(session) : reject(error))),
  );
  return { sftp, end: () => client.end() };
}

test('what is put on the image server by SFTP is read over HTTP, through a symlink too', async () => {
  const { path, url } = await freshImageDirectory();
  const { sftp, end } = await openSftp(sandbox().imageServer.sshd.privateKey);
  await new Promise<void>((resolve, reject) => sftp.writeFile(`${path}/tag`, 'v1', (e) => (e ? reject(e) : resolve())));
  await new Promise<void>((resolve, reject) =>
    sftp.symlink('tag', `${path}/label`, (e) => (e ? reject(e) : resolve())),
  );
  end();
  expect(await (await fetch(`${url}/label`)).text()).toBe('v1');
  expect(await httpStatus(`${url}/`)).toBe(403);
});

test.each(['rsa', 'ecdsa'] as const)('an %s key may be added', async (type) => {
  const { tools, imageServer } = sandbox();
  const { end } = await openSftp(await addUserKey(tools, imageServer.sshd.authorizedKeys, type));
  end();
});

describe('dlrn', () => {
  const { master, wallaby } = sandbox().dlrn.branches;

  test.each(Object.entries({ master, wallaby }))('%s: labels name the newest hash', async (_, branch) => {
    expect(new Set(branch.hashes).size).toBe(3);
    const response = await fetch(`${branch.repositoryUrl}/current-tripleo/delorean.repo.md5`);
    expect(await response.text()).toBe(branch.hashes[0]);
  });

  test('takes a vote on a hash of its own branch, and only there', async () => {
    const vote = (url: string, password: string) =>
      fetch(`${url}/api/report_result`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: basicAuthorization({ ...sandbox().dlrn.login, password }),
        },
        body: JSON.stringify({
          aggregate_hash: master.hashes[2],
          job_id: 'sandbox',
          url: 'http://ci.invalid/1',
          timestamp: 1,
          success: 'true',
          notes: 'note',
        }),
      });
    const { password } = sandbox().dlrn.login;
    expect((await vote(master.url, 'wrong')).status).toBe(401);
    expect((await vote(wallaby.url, password)).status).toBe(400);
    expect((await vote(master.url, password)).status).toBe(201);
    const votes = await fetch(`${master.url}/api/agg_status?aggregate_hash=${master.hashes[2]}`);
    // Other tests vote on it too.
    expect(await votes.json()).toContainEqual(
      expect.objectContaining({ job_id: 'sandbox', success: true, notes: 'note' }),
    );
  });
});

describe('a registry of our own', () => {
  let run: Awaited<ReturnType<typeof runDirectory>>;
  const started: Stoppable[] = [];

  beforeAll(async () => {
    run = await runDirectory();
  });

  afterAll(async () => {
    for (const server of [...started, run]) await server.stop();
  });

  test('accepts the tokens of its token server: a login may push, anyone may pull', async () => {
    const login = { username: 'tripleo+robot', password: 'password' };
    const tokens = await startTokenServer({ directory: join(run.path, 'tokens'), login });
    const registry = await startRegistry({
      tools: sandbox().tools,
      directory: join(run.path, 'registry'),
      tokens: tokens.issuer,
    });
    started.push(tokens, registry);
    const { realm, service } = tokens.issuer;
    const challenge = (await fetch(`${registry.url}/v2/`)).headers.get('www-authenticate');
    expect(challenge).toBe(`Bearer realm="${realm}",service="${service}"`);

    const bearer = async (headers: Record<string, string>) => {
      const scope = 'repository:x/y:pull,push';
      const answer = await fetch(`${realm}?service=${service}&scope=${scope}`, { headers });
      return answer.status === 200 ? `Bearer ${JSON.parse(await answer.text()).token}` : answer.status;
    };
    const image = buildImage();
    const push = (authorization: string) =>
      pushImage({ url: registry.url, repository: 'x/y', authorization }, image, ['tag']);
    const pull = async (authorization: string) =>
      (await fetch(`${registry.url}/v2/x/y/manifests/tag`, { headers: { authorization, accept: image.mediaType } }))
        .status;

    const anonymous = `${await bearer({})}`;
    const pusher = `${await bearer({ authorization: basicAuthorization(login) })}`;
    expect(await bearer({ authorization: basicAuthorization({ ...login, password: 'wrong' }) })).toBe(401);
    await expect(push(anonymous)).rejects.toThrow(/: 40[13] /);
    await push(pusher);
    expect(await pull(anonymous)).toBe(200);
    tokens.lifetimeSeconds = -60;
    expect(await pull(`${await bearer({})}`)).toBe(401);
    expect(tokens.requests.map(({ who }) => who)).toEqual(['anonymous', 'login', 'wrong', 'anonymous']);
  });

  test('speaks HTTP/2 over TLS', async () => {
    const { tools } = sandbox();
    const certificate = await makeCertificate(tools, join(run.path, 'certificate'));
    const registry = await startRegistry({ tools, directory: join(run.path, 'tls'), certificate });
    started.push(registry);
    const session = connect(registry.url, { ca: await readFile(certificate.certificate) });
    const [headers] = await once(session.request({ ':path': '/v2/' }), 'response');
    session.close();
    expect(headers[':status']).toBe(200);
  });
});

test('nothing is left of a sandbox whose process was killed', async () => {
  const module = pathToFileURL(join(projectRoot, 'build/test/sandbox/sandbox.js')).href;
  const script = `
    const { startSandbox } = await import(${JSON.stringify(module)});
    const { info } = await startSandbox(console.error);
    console.log(JSON.stringify([info.directory, info.source.url + '/v2/', info.target.url + '/v2/', info.imageServer.web.url]));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(child.stdout, 'data');
    const [directory = '', ...urls]: string[] = JSON.parse(line.toString());
    expect(await Promise.all(urls.map(httpStatus))).toEqual([200, 401, 403]);
    child.kill('SIGKILL');
    while (existsSync(directory)) await sleep(50);
    expect(await Promise.all(urls.map(httpStatus))).toEqual([undefined, undefined, undefined]);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a server ends with the process that began the run, even if the worker that started it is still running', async () => {
  const run = await runDirectory();
  const before = process.env[RUN_OWNER];
  const owner = spawn('sleep', ['86400'], { stdio: 'ignore' });
  try {
    process.env[RUN_OWNER] = String(owner.pid);
    const registry = await startRegistry({ tools: sandbox().tools, directory: join(run.path, 'registry') });
    expect(await httpStatus(`${registry.url}/v2/`)).toBe(200);
    owner.kill('SIGKILL');
    while ((await httpStatus(`${registry.url}/v2/`)) !== undefined) await sleep(50);
  } finally {
    process.env[RUN_OWNER] = before;
    owner.kill('SIGKILL');
    await run.stop();
  }
});

test('what a killed run left is removed when the next one starts', async () => {
  const { pid } = spawnSync('true');
  const left = join(sandboxHome, `run-${pid}-left`);
  await mkdir(left);
  const [next, another] = [await runDirectory(), await runDirectory()];
  expect([existsSync(left), existsSync(next.path)]).toEqual([false, true]);
  await Promise.all([next.stop(), another.stop()]);
});
