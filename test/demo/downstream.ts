import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PINS } from '../../scripts/pin.js';
import { projectRoot } from '../sandbox/project.js';
import type { BranchName, ImageDirectory, SandboxInfo } from '../sandbox/sandbox.js';
import { dotenv, repositorySettings } from './act.js';

/** The variables of examples/downstream that are public servers by default, and those that make it promote. */
export function downstreamVariables(info: SandboxInfo, branch: BranchName, directory: ImageDirectory, target: string) {
  const { source, target: registry, dlrn } = info;
  const servers = {
    CEPH_IMAGE: `${source.host}/ceph/daemon`,
    CEPH_FLAVOR: 'pacific',
    DLRN_URL: dlrn.branches[branch].url,
    REPOSITORY_URL: `http://127.0.0.1:${dlrn.port}/centos9-${branch}/current-tripleo`,
    UPSTREAM_URL: directory.url,
  };
  const own = {
    TARGET: `${registry.host}/${target}`,
    MIRROR_TARGET: `${registry.host}/${target}-mirrored`,
    IMAGE_SERVER: directory.server,
    IMAGE_SERVER_URL: directory.url,
    IMAGE_SERVER_KNOWN_HOSTS: repositorySettings(info).variables.IMAGE_SERVER_KNOWN_HOSTS,
    PROMOTION_ALLOWED_ACTORS: 'alice',
  };
  return { servers, own };
}

/** Writes act's files: `servers` (variables of a repository that has set nothing of its own), `vars` and `secrets`. */
export async function writeSettings(
  info: SandboxInfo,
  { servers, own }: ReturnType<typeof downstreamVariables>,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'servers'), dotenv(servers));
  await writeFile(path.join(folder, 'vars'), dotenv({ ...servers, ...own }));
  await writeFile(path.join(folder, 'secrets'), dotenv(repositorySettings(info).secrets), { mode: 0o600 });
}

/** The commit that the examples and the documentation pin. */
export function pinnedCommit(): string {
  const workflow = readFileSync(path.join(projectRoot, 'examples/downstream/.github/workflows/promotion.yml'), 'utf8');
  const [[, , commit] = []] = workflow.matchAll(PINS);
  if (commit === undefined) throw new Error('the example pins nothing');
  return commit;
}

/** act's argument that takes `owner/repository/…@commit` from a folder: there is no network to fetch it from. */
export function localRepository(folder: string): string {
  return `rdo-infra/ceph-promotion-actions@${pinnedCommit()}=${folder}`;
}
