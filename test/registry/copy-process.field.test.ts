import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildImage, buildMultiPlatform, MEDIA_TYPES, pushImage } from '../sandbox/images.js';
import { projectRoot } from '../sandbox/project.js';
import { client, closeAll, copyOf, repository, tag } from './support.js';

const { source, target } = sandbox();

/** A copy in a process of its own, to the tag v1. */
function startCopy(from: string, { digest }: { readonly digest: string }, to: string) {
  const program = join(projectRoot, 'build/test/registry/copy-process.js');
  const { username, password } = target.login;
  const child = spawn(process.execPath, [program, 'copy', from, digest, to, 'v1'], {
    env: { ...process.env, NODE_OPTIONS: '', TARGET_LOGIN: `${username}:${password}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { child, said };
}

afterEach(closeAll);

/** One of so many is killed as a process, since a process takes longer to start than to copy. */
const PROCESSES = 6;

describe('a kill at any request of a copy, and a second run', () => {
  const small = buildMultiPlatform({ seed: 'small' });

  /** A copy is killed when its n-th request arrives, which then goes on alone. */
  async function killedAt(n: number, isAcross: boolean): Promise<void> {
    let count = 0;
    let kill = async () => {};
    const onRequest = async () => {
      count += 1;
      if (count === n) await kill();
    };
    const front = await startFaultProxy({ upstream: source.url, onRequest });
    const back = isAcross ? await startFaultProxy({ upstream: target.url, onRequest }) : front;
    const [from, to] = [`${front.host}/${freshRepository()}`, `${back.host}/${freshRepository()}`];
    await pushImage({ url: source.url, repository: repository(from).path }, small, ['v1']);

    if (n % PROCESSES === 1) {
      const { child, said } = startCopy(from, small, to);
      kill = async () => {
        child.kill('SIGKILL');
        await said;
      };
      const [, log, [, signal]] = await said;
      expect({ n, log, signal }).toMatchObject({ signal: 'SIGKILL' });
    } else {
      // A client that is closed ends all its connections, and sends nothing any more.
      const dying = client(isAcross ? { login: target.login } : {});
      kill = () => dying.close();
      await expect(dying.copy([copyOf(from, small, to)], { referrers: false })).rejects.toThrow(ServiceError);
    }
    const copy = copyOf(from, small, to);
    const registry = client(isAcross ? { login: target.login } : {});
    await registry.copy([copy], { referrers: false });
    expect(await registry.repository(copy.target.repository).resolve(tag('v1'))).toMatchObject({
      digest: small.digest,
    });

    const uploads = [...new Set([front, back])].flatMap(({ requests }) =>
      requests.flatMap(({ method, path, status }) =>
        method === 'PUT' && status === 201 ? (/digest=.*/.exec(path)?.[0] ?? []) : [],
      ),
    );
    expect(uploads).toHaveLength(new Set(uploads).size);
    await Promise.all([front.stop(), back.stop()]);
  }

  test.each([
    ['by mount', false, 13],
    ['across registries', true, 26],
  ])(
    '%s',
    async (_, isAcross, requests) => {
      const boundaries = Array.from({ length: requests }, (_, n) => n + 1).values();
      const worker = async () => {
        for (const n of boundaries) await killedAt(n, isAcross);
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
    },
    180_000,
  );
});

test('memory does not grow with the size of a layer', async () => {
  const peaks: number[] = [];
  for (const megabytes of [64, 512]) {
    const bytes = Buffer.alloc(megabytes * 1e6);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const layer = { mediaType: MEDIA_TYPES.oci.layer, digest, diffId: digest, bytes };
    const image = buildImage({ layers: [layer] });
    const from = freshRepository();
    await pushImage({ url: source.url, repository: from }, image, []);
    const { said } = startCopy(`${source.host}/${from}`, image, `${target.host}/${freshRepository()}`);
    const [peak, log] = await said;
    expect(log).toMatch(/copied in .*: 1 manifests, 2 blobs uploaded/);
    peaks.push(Number(peak) / 1e6);
  }
  const [few = 0, many = 0] = peaks;
  // How much garbage lies about depends on how busy the machine is.
  expect(many - few).toBeLessThan(40);
  expect(many).toBeLessThan(180);
});
