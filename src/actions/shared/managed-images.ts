import * as v from 'valibot';
import { stringify } from 'yaml';
import { UserError } from '../../base/errors.js';
import { type Targets, targetRepositories } from '../../rules/targets.js';
import { imageNameOf } from '../../store/extra-vars.js';
import type { Store } from '../../store/store.js';

/** The file in the store, beside `ledger/`. No artifact has this name (src/ledger/names.ts). */
const FILE = 'managed-images.yaml';
const MAX_BYTES = 1024 * 1024;

/** The name of a branch in RDO's promoter, such as `master` and `centos9`. */
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
 * The images of the targets, as the list of those that RDO's promoter must leave alone: base names by release and
 * distro, as in tripleo-ci's roles/build-containers/vars/main.yaml. The promoter itself (ci-config,
 * repo_client.load_excludes) expects a list of names below a release. If it finds a mapping, it reads the keys, so each
 * name is also a key without a value.
 *
 * @throws UserError if an image has the name of the distro, which the promoter would confuse.
 */
export function excludeList(targets: Targets, { release, distro }: Release): string {
  const names = [...new Set(targetRepositories(targets).map(imageNameOf))].sort();
  if (names.includes(distro)) {
    throw new UserError(
      `input managed-images-for: a target's image is called ${distro}, like the distro: one list cannot name both`,
    );
  }
  const keys = Object.fromEntries(names.map((name) => [name, []]));
  // RDO reads YAML 1.1, in which "on" is not a string.
  const text = stringify({ exclude_containers: { [release]: { [distro]: names, ...keys } } }, { version: '1.1' });
  return `# What ceph-promotion-actions promotes, by distro, and each name as a key too. Each run writes this file.\n${text}`;
}

/** Writes the list if it differs from the one in the store. */
export async function leaveManagedImages(store: Store, list: string): Promise<void> {
  if ((await store.readPage(FILE, MAX_BYTES)) !== list) await store.writePage(FILE, list);
}
