import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { DISPATCH, runBundle } from '../e2e/bundle.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { makeImageDirectory, type SandboxInfo } from '../sandbox/sandbox.js';

/** Two builds of one Ceph release, as Ceph's own container/build.sh tags them: the second moves the undated tags. */
const BUILDS = ['v19.2.3-20250717', 'v19.2.3-20251007'] as const;
const UNDATED = ['v19.2.3', 'v19.2', 'v19'];
const SHA1 = 'c92aebb279828e9c3c1f5d24613efca272649e62';

/**
 * Finds, checks and promotes quay.io/ceph/ceph, which Ceph builds today, and then its rebuild, in a directory and a
 * target of its own.
 */
export async function promoteLivingImage(
  { source, target, imageServer }: SandboxInfo,
  say: (line: string) => void,
): Promise<void> {
  const name = `living-${randomUUID()}`;
  const directory = await makeImageDirectory(imageServer, name);
  const image = `${source.host}/${name}/ceph/ceph`;
  try {
    for (const tag of BUILDS) {
      const build = buildMultiPlatform({
        seed: tag,
        env: ['CEPH_REF=squid', 'CEPH_IS_DEVEL=false', 'CEPH_OSD_FLAVOR=default', 'FROM_IMAGE=centos:9'],
        labels: { CEPH_REF: 'squid', CEPH_SHA1: SHA1, OSD_FLAVOR: 'default', FROM_IMAGE: 'centos:9' },
      });
      await pushImage({ url: source.url, repository: `${name}/ceph/ceph` }, build, [tag, ...UNDATED]);
      const found = await run('find-stable-tag', { image, flavor: 'squid' });
      const { reference = '' } = found.outputs;
      const checked = await run('check-image', { reference });
      const needs = { check: { result: checked.outputs.outcome, outputs: { reference } } };
      const { summary } = await run('evaluate-and-promote', {
        reference,
        image,
        evidence: 'needs',
        needs: JSON.stringify(needs),
        criteria: 'current-ceph: {required: [check]}',
        targets: `${target.host}/${name}/ceph`,
        'target-username': target.login.username,
        'target-password': target.login.password,
        server: directory.server,
        'ssh-private-key': imageServer.sshd.privateKey,
        'ssh-known-hosts': imageServer.sshd.knownHosts,
      });
      const lines = summary.replaceAll('`', '').split('\n');
      const previous = lines.find((line) => line.startsWith('| Previous |'))?.slice(2, -2);
      say(`  ${lines[0]?.replace(/^#+ /, '')} (check: ${checked.outputs.outcome}); ${previous?.replace(' | ', ': ')}`);
    }
  } finally {
    await rm(directory.path, { recursive: true, force: true });
  }
}

async function run(action: string, inputs: Readonly<Record<string, string>>) {
  const done = await runBundle(action, inputs, { ...DISPATCH, GITHUB_EVENT_NAME: 'schedule' });
  if (done.status !== 0) throw new Error(`${action}: ${done.errors.join('; ')}`);
  return done;
}
