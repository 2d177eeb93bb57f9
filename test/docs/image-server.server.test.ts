import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publishCandidate } from '../../src/store/publish.js';
import type { SftpStoreOptions } from '../../src/store/sftp/sftp-store.js';
import { CURRENT, freshScene, ledger, open, publish, run, type Scene, seen } from '../promotion/support.js';
import { sandbox } from '../sandbox/current.js';
import { type ServerProcess, startServer } from '../sandbox/process.js';
import { projectRoot } from '../sandbox/project.js';
import { TESTING } from '../store/fixture.js';
import { blocksOf } from './markdown.js';

/**
 * docs/how-to/image-server.md, done by a real root with two real users. The page's commands run as they are printed,
 * except that accounts and directories have names that this machine does not have.
 */

const page = blocksOf(await readFile(path.join(projectRoot, 'docs/how-to/image-server.md'), 'utf8'));
const isRoot = process.getuid?.() === 0;

const unique = randomUUID().slice(0, 8);
const names = { publisher: `pub-${unique}`, promoter: `pro-${unique}`, images: `img-${unique}` };
// Not below /tmp: sshd locks users only into directories that nobody but root can write, all the way up.
const root = `/srv/promotion-${unique}`;
let keys: string;
let sshd: ServerProcess;
let scene: Scene;

/** The page's text with this test's names. */
const here = (text: string) =>
  text
    .replaceAll('/etc/ssh/authorized_keys.d', `${root}.keys`)
    .replaceAll('/root/$user', `${keys}/$user`)
    .replaceAll('/srv/images', root)
    .replaceAll(/\bpublisher\b/g, names.publisher)
    .replaceAll(/\bpromoter\b/g, names.promoter)
    .replaceAll(/(groupadd|--gid|--group|Group) images\b/g, `$1 ${names.images}`);

const execute = promisify(execFile);
const bash = (script: string) => execute('bash', ['-euo', 'pipefail', '-c', script]);

/** What a session as one of the two users needs. */
async function as(user: 'publisher' | 'promoter'): Promise<Partial<SftpStoreOptions> & { server: never }> {
  const hostKey = await readFile(path.join(keys, 'host.pub'), 'utf8');
  const privateKey = await readFile(path.join(keys, names[user]), 'utf8');
  const server = new URL(`sftp://${names[user]}@127.0.0.1:${sshd.port}/ceph/master`);
  const knownHosts = `[127.0.0.1]:${sshd.port} ${hostKey.split(' ').slice(0, 2).join(' ')}`;
  return { privateKey, knownHosts, server } as never;
}

/** Runs one command of OpenSSH's sftp as a user. */
async function sftp(user: 'publisher' | 'promoter', command: string): Promise<string> {
  const { knownHosts = '' } = await as(user);
  const known = path.join(keys, 'known_hosts');
  await writeFile(known, `${knownHosts}\n`);
  const batch = path.join(keys, 'batch');
  await writeFile(batch, `${command}\n`);
  const options = ['-o', `UserKnownHostsFile=${known}`, '-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=yes'];
  const to = ['-i', path.join(keys, names[user]), '-P', String(sshd.port), '-b', batch, `${names[user]}@127.0.0.1`];
  return execute('sftp', ['-q', ...options, ...to]).then(
    () => 'done',
    ({ stderr }: { stderr: string }) => stderr.trim(),
  );
}

const describeAsRoot = isRoot ? describe : describe.skip;

describeAsRoot('the image server as the page sets it up', () => {
  beforeAll(async () => {
    keys = await mkdtemp(path.join(tmpdir(), 'image-server-'));
    const [accounts, directories, dashboard, keyFiles] = page.filter(({ info }) => info === 'bash root');
    for (const block of [accounts, directories, dashboard, keyFiles]) await bash(here(block?.text ?? 'exit 1'));
    await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(keys, 'host')]);
    const lines = page.find(({ info }) => info === 'text sshd_config')?.text ?? '';
    sshd = await startServer({
      name: 'sshd',
      directory: keys,
      command: async (port) => {
        const own = [`ListenAddress 127.0.0.1:${port}`, `HostKey ${keys}/host`, 'PidFile none', 'UsePAM yes'];
        const config = path.join(keys, 'sshd_config');
        await writeFile(config, `${[...own, 'Subsystem sftp internal-sftp', here(lines)].join('\n')}\n`);
        return [sandbox().tools.sshd, '-D', '-e', '-f', config];
      },
    });
    const directory = { path: `${root}/ceph/master`, server: (await as('promoter')).server, url: '' };
    scene = await freshScene({ directory: { ...directory, server: String(directory.server) } });
  });

  afterAll(async () => {
    await sshd?.stop();
    for (const remove of [`userdel ${names.publisher}`, `userdel ${names.promoter}`, `groupdel ${names.images}`]) {
      await bash(`${remove} || true`);
    }
    for (const one of [root, `${root}.keys`, keys]) await rm(one, { recursive: true, force: true });
  });

  test('the publisher publishes, and the promoter promotes what it published', async () => {
    const candidate = await publish(scene, 'v1.0.0');
    const publisher = { ...scene, directory: { ...scene.directory, server: String((await as('publisher')).server) } };
    const { server: _, ...session } = await as('publisher');
    const opened = await open(publisher, session);
    const createdAt = Math.floor(Date.now() / 1000);
    const options = { candidate, label: TESTING, tagsRead: 1, runUrl: undefined, createdAt, dryRun: false };
    expect(await publishCandidate({ server: opened.server, ...options })).toMatchObject({ changed: true });
    await opened.close();

    const { server: __, ...promoter } = await as('promoter');
    await run(scene, { candidate }, promoter);
    await run(scene, { candidate: await publish(scene, 'v1.0.1') }, promoter);
    expect(ledger(scene).map(({ kind }) => kind)).toEqual(['earned', 'earned']);
    expect(await seen(scene)).toMatchObject({ label: 'v1.0.1', previous: 'v1.0.0' });
  });

  test.each([
    ['rewrite a record', 'put /etc/hostname /ceph/master/ledger/current-ceph/2.json'],
    ['remove a record', 'rm /ceph/master/ledger/current-ceph/2.json'],
    ['add a record', 'put /etc/hostname /ceph/master/ledger/current-ceph/3.json'],
    ['put another ledger in its place', 'rename /ceph/master/ledger /ceph/master/other'],
    ['start a ledger', 'mkdir /ceph/master/ledger/other-ceph'],
    ['remove the promoted label', 'rm /ceph/master/current-ceph'],
    ['put another label in its place', 'rename /ceph/master/ceph-ci-testing /ceph/master/current-ceph'],
    ["rewrite the promoter's candidate file", 'put /etc/hostname /ceph/master/v1.0.1.json'],
    ["remove the promoter's artifact", 'rm /ceph/master/v1.0.1'],
    ['write to the dashboard', 'put /etc/hostname /ceph/dashboard/index.html'],
    ['leave its directory', 'get /etc/passwd /dev/null'],
  ])('the publisher cannot %s', async (_, command) => {
    expect(await sftp('publisher', command)).toMatch(/[Pp]ermission denied|not found|Failure|No such file/);
  });

  test('the promoter finds nothing wrong with the permissions', async () => {
    const { server: _, ...session } = await as('promoter');
    const opened = await open(scene, session);
    expect(
      await opened.server.checkRights({ promotedLabel: CURRENT, candidateLabel: TESTING }, { isWriter: true }),
    ).toEqual([]);
    await opened.close();
  });

  test('the promoter does not act on a ledger that the publisher made, whatever its modes are', async () => {
    const made = `${root}/ceph/master/ledger/current-ceph`;
    const { server: _, ...promoter } = await as('promoter');
    // Without its label nothing says which account publishes.
    await bash(`mv ${root}/ceph/master/ceph-ci-testing ${root}/label; chown --recursive ${names.publisher} ${made}`);
    const candidate = await publish(scene, 'v1.0.2');
    await expect(run(scene, { candidate }, promoter)).rejects.toThrow(/current-ceph: belongs to another account/);
    await bash(`mv ${root}/label ${root}/ceph/master/ceph-ci-testing; chown --recursive ${names.promoter} ${made}`);
    expect(await seen(scene)).toMatchObject({ label: 'v1.0.1' });
  });

  test('the promoter can replace what the publisher wrote', async () => {
    expect(await sftp('promoter', 'rm /ceph/master/v1.0.0.json')).toBe('done');
  });

  test('neither gets a shell', async () => {
    const options = [
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'IdentitiesOnly=yes',
    ];
    const to = ['-i', path.join(keys, names.publisher), '-p', String(sshd.port), `${names.publisher}@127.0.0.1`];
    await expect(execute('ssh', ['-q', ...options, ...to, 'id'], { timeout: 20_000 })).rejects.toThrow();
  });

  test('a web server with another account reads the labels', async () => {
    const read = (name: string) =>
      execute('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'cat', `${root}/ceph/master/${name}`]);
    expect((await read('current-ceph')).stdout).toBe('v1.0.1');
    expect((await read('ceph-ci-testing')).stdout).toBe('v1.0.0');
  });

  test("the page's own check passes, and fails if something is not protected", async () => {
    const script = here(page.filter(({ info }) => info === 'bash root').at(-1)?.text ?? 'exit 1');
    expect((await bash(script)).stdout).toBe('protected\n');
    await bash(`chmod -t ${root}/ceph/master`);
    await expect(bash(script)).rejects.toMatchObject({ stdout: expect.stringContaining('NOT PROTECTED') });
  });
});
