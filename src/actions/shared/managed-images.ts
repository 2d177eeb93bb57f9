import * as v from 'valibot';
import { stringify } from 'yaml';
import { UserError } from '../../base/errors.js';
import { type Targets, targetRepositories } from '../../rules/targets.js';
import { imageNameOf } from '../../store/extra-vars.js';
import type { Store } from '../../store/store.js';

/** The file in the store, beside `ledger/`. No artifact has this name (src/ledger/names.ts). */
const FILE = 'managed-images.yaml';
const MAX_BYTES = 1024 * 1024;

/** What RDO's promoter calls a branch, such as `master` and `centos9`. */
export const releaseSchema = v.pipe(
  v.string(),
  v.regex(
    /^[\w.-]{1,64} +[\w.-]{1,64}$/,
    (issue) => `${issue.received} is not a release and a distro, as in "master centos9"`,
  ),
  v.transform((text): Release => {
    const [release = '', distro = ''] = text.split(/ +/);
    return { release, distro };
  }),
);
export interface Release {
  readonly release: string;
  readonly distro: string;
}

/**
 * The images of the targets, as a list that RDO's promoter reads of what it has to leave alone: base names by release and
 * distro, as in tripleo-ci's roles/build-containers/vars/main.yaml. The promoter itself (ci-config,
 * repo_client.load_excludes) takes what a release has for a list of names. Of a mapping it sees the keys, so each name is
 * a key too, with nothing in it.
 *
 * @throws UserError where an image has the name of the distro, which the promoter could not tell apart.
 */
export function excludeList(targets: Targets, { release, distro }: Release): string {
  const names = [...new Set(targetRepositories(targets).map(imageNameOf))].sort();
  if (names.includes(distro)) {
    throw new UserError(
      `input managed-images-for: a target's image is called ${distro}, like the distro: one list cannot name both`,
    );
  }
  const keys = Object.fromEntries(names.map((name) => [name, []]));
  // RDO reads YAML 1.1, where "on" is no name.
  const text = stringify({ exclude_containers: { [release]: { [distro]: names, ...keys } } }, { version: '1.1' });
  return `# What ceph-promotion-actions promotes, by distro, and each name as a key too. Each run writes this file.\n${text}`;
}

/** Writes the list where it differs from what is there. */
export async function leaveManagedImages(store: Store, list: string): Promise<void> {
  if ((await store.readPage(FILE, MAX_BYTES)) !== list) await store.writePage(FILE, list);
}
