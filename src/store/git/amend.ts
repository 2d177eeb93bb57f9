import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../base/errors.js';
import type { Git } from './git.js';
import { isShallow } from './repository.js';

/** The branch of a dashboard has one commit of ours, which each push replaces, so that the branch does not grow. */

const EMAIL = 'ceph-promotion-actions@localhost';

/** The committer of all our commits in stores and dashboards. */
export const COMMITTER = `ceph-promotion-actions <${EMAIL}>`;

/** The message of the commits that are amended. */
export const AMENDED = 'Update the dashboard';

/** Our newest commit, which the next push replaces. */
export interface Replaced {
  readonly parent: string | undefined;
  readonly tree: string;
}

/**
 * What the next push replaces: a commit if it is one of ours; undefined for anybody else's, which is kept. Refuses the
 * branch of a store, whose history must stay.
 */
export async function findReplaced(git: Git, where: string, commit: string): Promise<Replaced | undefined> {
  const names = await git.local(['ls-tree', '-r', '-z', '--name-only', '--full-tree', commit]);
  if (/(?:^|[/\0])ledger\/[^/\0]+\/\d+\.json\0/.test(names.stdout.toString())) {
    throw new UserError(`${where}: is the branch of a store; name another branch for the dashboard`, {
      hint: 'server',
    });
  }
  const { stdout } = await git.local(['log', '-1', '--format=%P%n%T%n%ce%n%B', commit]);
  const [parents = '', tree = '', email = '', ...message] = stdout.toString().split('\n');
  const [parent, another] = parents.split(' ');
  const isOwn = email === EMAIL && message.join('\n').trim() === AMENDED && another === undefined;
  return isOwn ? { parent: parent === '' ? undefined : parent, tree } : undefined;
}

/**
 * Makes the next push leave out objects that the server already has in commits that are not ancestors of the new one.
 * Git does so only in a shallow repository (git-pack-objects(1), --thin with --shallow). A root commit as the boundary
 * hides nothing.
 *
 * @param home - the directory of the repository
 */
export async function sendOnlyNew(git: Git, home: string, root: string | undefined): Promise<void> {
  if (await isShallow(git)) return;
  await writeFile(join(home, 'repository.git/shallow'), `${root}\n`);
}
