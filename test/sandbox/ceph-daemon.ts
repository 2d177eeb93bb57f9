import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  AMD64,
  ARM64,
  buildImage,
  buildIndex,
  buildLayer,
  type Image,
  type ImageIndex,
  type Platform,
  pushImages,
} from './images.js';
import type { Tools } from './install.js';
import { projectRoot, toolsHome } from './project.js';
import { type Registry, startRegistry } from './registry.js';

export const CEPH_DAEMON = 'ceph/daemon';

/** The repository as quay.io/ceph/daemon listed it on 2022-05-06: 606 tags. */
export const cephDaemonTags: readonly string[] = readFileSync(
  join(projectRoot, 'test/data/ceph-daemon-tags-2022-05-06.txt'),
  'utf8',
)
  .trim()
  .split('\n');

/**
 * A registry that pages, with an image for each of those tags in `ceph/daemon`. Its storage is kept for the next time:
 * uploading takes seconds, copying half of one.
 */
export async function startCephDaemonRegistry(tools: Tools, directory: string, port?: number): Promise<Registry> {
  const pushes = cephDaemonTags.map((tag) => ({ image: cephDaemonImage(tag), tags: [tag] }));
  const contents = pushes.map(({ image, tags }) => `${tags} ${image.digest}`).join();
  const kept = join(toolsHome, `ceph-daemon-${createHash('sha256').update(contents).digest('hex').slice(0, 8)}`);
  const storage = join(directory, 'storage');
  const isKept = existsSync(kept);
  if (isKept) await copyDirectory(kept, storage);
  const registry = await startRegistry({ tools, directory, port });
  if (!isKept) {
    await pushImages({ url: registry.url, repository: CEPH_DAEMON }, pushes);
    await copyDirectory(storage, kept);
  }
  return registry;
}

/** Copies a directory to where none is, all at once. */
async function copyDirectory(from: string, to: string): Promise<void> {
  const copying = `${to}.${process.pid}`;
  await mkdir(dirname(to), { recursive: true });
  await promisify(execFile)('cp', ['-r', from, copying]);
  try {
    await rename(copying, to);
  } catch (error) {
    // Another process was first.
    await rm(copying, { recursive: true });
    if (!existsSync(to)) throw error;
  }
}

/**
 * The image behind a tag. With -x86_64 or -aarch64 it is a manifest of that platform, else a manifest list of the
 * platforms that the listing has for it (always x86_64). The label RELEASE of a stable tag says what the tag begins
 * with, other builds name a branch.
 */
export function cephDaemonImage(tag: string): Image | ImageIndex {
  const [, name = tag, arch] = /^(.*?)(?:-(x86_64|aarch64))?$/.exec(tag) ?? [];
  if (arch !== undefined) return platformImage(name, arch === 'x86_64' ? AMD64 : ARM64);
  const platforms = name.startsWith('latest') || cephDaemonTags.includes(`${name}-aarch64`) ? [AMD64, ARM64] : [AMD64];
  return buildIndex(
    platforms.map((platform) => platformImage(name, platform)),
    'docker',
  );
}

const FLAVORS = /\b(jewel|kraken|luminous|mimic|nautilus|octopus|pacific|quincy|master)\b(?!-[0-9a-f]{7}-)/;

const images = new Map<string, Image>();

function platformImage(name: string, platform: Platform): Image {
  const flavor = FLAVORS.exec(name)?.[1] ?? 'pacific';
  const release = /^v[^-]+-stable-\d+\.\d+/.exec(name)?.[0] ?? 'main';
  const branch = /stable-\d+\.\d+$/.exec(release)?.[0] ?? 'main';
  const commit = /^master-([0-9a-f]{7})-/.exec(name)?.[1] ?? '4ab02a7';
  const base = /(centos|ubuntu|opensuse|debian)-[^-]+$/.exec(name)?.[0] ?? 'centos-stream8';
  const key = [flavor, release, commit, base, platform.architecture].join();
  const known = images.get(key);
  if (known !== undefined) return known;
  const image = buildImage({
    platform,
    format: 'docker',
    layers: [layer(base, platform), layer(flavor, platform)],
    env: [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      `CEPH_VERSION=${flavor}`,
      'CEPH_POINT_RELEASE=',
    ],
    labels: {
      ceph: 'True',
      RELEASE: release,
      GIT_REPO: 'git@github.com:ceph/ceph-container.git',
      GIT_BRANCH: branch,
      GIT_COMMIT: commit,
      GIT_CLEAN: 'True',
    },
  });
  images.set(key, image);
  return image;
}

function layer(what: string, platform: Platform) {
  return buildLayer(`${what} ${platform.architecture}`, 700, 'docker');
}
