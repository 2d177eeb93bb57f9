import type { Repository } from '../candidate/reference.js';
import type { ConsumedCandidate } from './consume.js';

/**
 * The variables of RDO's jobs, as YAML for `ansible-playbook -e @file`. All values are quoted, so that a tag such as
 * 1.10 stays text. The digest is empty if it is not known.
 */
export function extraVars({ repository, tag, digest }: ConsumedCandidate): string {
  const variables = {
    docker_ceph_namespace: namespaceOf(repository),
    docker_ceph_image: imageNameOf(repository),
    docker_ceph_tag: tag,
    ceph_daemon_tag: tag,
    docker_ceph_digest: digest ?? '',
  };
  const lines = Object.entries(variables).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  return `---\n${lines.join('')}`;
}

/** `quay.io/ceph` of `quay.io/ceph/daemon`. */
export function namespaceOf({ registry, path }: Repository): string {
  return [registry, ...path.split('/').slice(0, -1)].join('/');
}

/** `daemon` of `quay.io/ceph/daemon`. */
export function imageNameOf({ path }: Repository): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
