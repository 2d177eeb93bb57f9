import { freshImageDirectory, freshRepository, sandbox } from '../sandbox/current.js';
import type { BranchName, ImageDirectory } from '../sandbox/sandbox.js';

/** Inputs of the actions for one promotion of its own: a directory on the image server and a target of its own. */
export interface Settings {
  readonly directory: ImageDirectory;
  readonly image: string;
  readonly target: string;
  /** The path of the target below the registry. */
  readonly targetPath: string;
  readonly imageServer: Readonly<Record<'server' | 'ssh-private-key' | 'ssh-known-hosts', string>>;
  readonly dlrn: Readonly<Record<'dlrn-url' | 'username' | 'password', string>>;
  readonly targetLogin: Readonly<Record<'target-username' | 'target-password', string>>;
}

export async function freshSettings(branch: BranchName = 'master'): Promise<Settings> {
  const { source, target, imageServer, dlrn } = sandbox();
  const directory = await freshImageDirectory();
  const targetPath = freshRepository();
  return {
    directory,
    image: `${source.host}/ceph/daemon`,
    target: `${target.host}/${targetPath}`,
    targetPath,
    imageServer: {
      server: directory.server,
      'ssh-private-key': imageServer.sshd.privateKey,
      'ssh-known-hosts': imageServer.sshd.knownHosts,
    },
    dlrn: { 'dlrn-url': dlrn.branches[branch].url, ...dlrn.login },
    targetLogin: { 'target-username': target.login.username, 'target-password': target.login.password },
  };
}
