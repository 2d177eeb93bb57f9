import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './actions.js';

/**
 * `npm run pin -- [tag or commit]` writes the commit that the documentation and the examples name; without an argument,
 * the newest one. A commit cannot name itself, so it is always an earlier one. `test/repository.server.test.ts` checks
 * that the commit exists, and that its actions have the inputs that the examples set.
 */

/** `owner/repository[/path]@commit # ref`. The groups are the part before `@`, the commit, and the ref. */
export const PINS = /(rdo-infra\/ceph-promotion-actions(?:\/[\w./-]*[\w-])?)@([0-9a-f]{40})(?: # (\S+))?/g;

/** `text` with every pin at `commit`. The comment names a release, or the branch before there is one. */
export function writePins(text: string, commit: string, ref: string): string {
  return text.replace(PINS, (_whole, name: string, _commit, old?: string) =>
    old === undefined ? `${name}@${commit}` : `${name}@${commit} # ${ref}`,
  );
}

/** The files that show a user how to call this repository. */
export function pinnedFiles(root: string): string[] {
  const list = ['ls-files', '-z', '--', 'README.md', 'docs', 'examples', 'actions/*/README.md'];
  return execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
}

function main(wanted = 'HEAD'): void {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const commit = git('rev-parse', '--verify', `${wanted}^{commit}`);
  const ref = /^v\d+\.\d+\.\d+$/.test(wanted) ? wanted : 'main';
  for (const name of pinnedFiles(ROOT)) {
    const file = path.join(ROOT, name);
    const before = readFileSync(file, 'utf8');
    const after = writePins(before, commit, ref);
    if (after !== before) writeFileSync(file, after);
  }
  console.log(`pinned to ${commit} # ${ref}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv[2]);
