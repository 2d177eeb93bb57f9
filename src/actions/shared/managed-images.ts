import * as v from 'valibot';
import { stringify } from 'yaml';
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
 * The images of the targets, in the form in which RDO's promoter reads what it has to leave alone (ci-config,
 * repo_client.load_excludes): base names by release and distro.
 */
export function excludeList(targets: Targets, { release, distro }: Release): string {
  const names = [...new Set(targetRepositories(targets).map(imageNameOf))].sort();
  const text = stringify({ exclude_containers: { [release]: { [distro]: names } } });
  return `# What ceph-promotion-actions promotes. Each run writes this file.\n${text}`;
}

/** Writes the list where it differs from what is there. */
export async function leaveManagedImages(store: Store, targets: Targets, release: Release): Promise<void> {
  const text = excludeList(targets, release);
  if ((await store.readPage(FILE, MAX_BYTES)) !== text) await store.writePage(FILE, text);
}
