import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { type PlaybookRun, type PlaybookSettings, runPlaybook } from './playbook.js';

/** Runs the role ceph_candidate on a directory of the image server, and tasks after it. */
export function readByRole(
  { url }: Pick<ImageDirectory, 'url'>,
  variables: Readonly<Record<string, unknown>> = {},
  tasks: readonly unknown[] = [],
  settings: PlaybookSettings = {},
): Promise<PlaybookRun> {
  const read = { name: 'Read the candidate', 'ansible.builtin.include_role': { name: 'ceph_candidate' } };
  const all = { ceph_candidate_url: url, ceph_candidate_retries: 1, ...variables };
  return runPlaybook([read, ...tasks], all, [], settings);
}

/** A label as anyone who can write to the directory can leave it. */
export async function leaveLabel(directory: ImageDirectory, label: string, tag: string, file?: object): Promise<void> {
  await writeFile(join(directory.path, `${label}.content`), tag);
  await symlink(`${label}.content`, join(directory.path, label));
  if (file !== undefined) await writeFile(join(directory.path, `${tag}.json`), JSON.stringify(file));
}
