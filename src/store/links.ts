import { basename, resolve } from 'node:path/posix';

/**
 * The name that a link in a store most likely means, however it is written: `tag`, `./tag` or `/store/tag`. Only the
 * last part counts, because a directory has a different path if a server shows only a part of its files (chroot). A
 * link to a candidate file, `tag.json`, means its tag.
 */
export function nameInLink(target: string): string {
  return basename(resolve('/', target)).replace(/\.json$/, '');
}
