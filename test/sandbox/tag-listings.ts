import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Tag listings as no server here has them by itself: long ones, and in pages of any size. */

/** This many tags, of which every `count / stable`-th is stable, half of them pacific and half quincy. */
export function manyTags(count: number, stable: number): readonly string[] {
  const every = count / stable;
  return Array.from({ length: count }, (_, n) => {
    const patch = Math.floor(n / every / 2);
    if (n % every >= 1) return `master-${n.toString(16).padStart(7, '0')}-pacific-centos-stream8-x86_64`;
    return n % (2 * every) < 1
      ? `v6.0.${patch}-stable-6.0-pacific-centos-stream8`
      : `v7.0.${patch}-stable-7.0-quincy-centos-stream8`;
  });
}

/**
 * Sets tags on an image that the repository has, in the files of a registry (distribution's
 * registry/storage/paths.go): twelve thousand in a second, where pushing them takes minutes.
 */
export function writeTags(
  registryDirectory: string,
  repository: string,
  digest: string,
  tags: readonly string[],
): void {
  const home = join(registryDirectory, 'storage/docker/registry/v2/repositories', repository, '_manifests/tags');
  for (const tag of tags) {
    const current = join(home, tag, 'current');
    mkdirSync(current, { recursive: true });
    writeFileSync(join(current, 'link'), digest);
  }
}

/**
 * For a proxy's `path`: makes the registry behind it list at most this many tags a page, even if it is asked for all.
 * distribution has a setting for the maximum, and none for the default.
 */
export function tagsAPage(size: number): (path: string) => string {
  return (path) => {
    const url = new URL(path, 'http://registry');
    if (!url.pathname.endsWith('/tags/list')) return path;
    url.searchParams.set('n', String(Math.min(size, Number(url.searchParams.get('n') ?? size))));
    return `${url.pathname}${url.search}`;
  };
}
