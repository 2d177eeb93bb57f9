import { type Candidate, type Digest, formatCandidate, formatRepository } from '../../candidate/reference.js';
import { formatVersion } from '../../candidate/scheme.js';
import { readStable } from '../../candidate/schemes.js';
import { imageNameOf, namespaceOf, type Values } from '../../store/extra-vars.js';
import { formatSetOutputs } from './set-outputs.js';

interface Named extends Pick<Candidate, 'repository' | 'tag'> {
  /** Undefined if it is not known. Then the values that need it are empty. */
  readonly digest: Digest | undefined;
  readonly companions: readonly Candidate[];
}

/** The values of the placeholders that depend only on the candidate. */
export function candidateValues({
  repository,
  tag,
  digest,
  companions,
}: Named): Omit<Values, 'cephadm-repository' | 'openstack-repository'> {
  const build = readStable(tag);
  const name = formatRepository(repository);
  return {
    reference: digest === undefined ? `${name}:${tag}` : formatCandidate({ repository, tag, digest }),
    repository: name,
    namespace: namespaceOf(repository),
    'image-name': imageNameOf(repository),
    tag,
    digest: digest ?? '',
    flavor: build?.flavor ?? '',
    version: build === undefined ? '' : formatVersion(build.version),
    // A set has no digest if the digest of its candidate is not known.
    ...(digest === undefined
      ? { set: '', 'set-digest': '' }
      : formatSetOutputs({ repository, tag, digest, companions })),
  };
}
