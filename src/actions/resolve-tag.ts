import { formatCandidate, repositorySchema, tagSchema } from '../candidate/reference.js';
import { defineAction } from '../runner/action.js';
import { required, withDefault } from '../runner/inputs.js';
import { namedBy, registryInputs, withRegistry } from './shared/registry-inputs.js';

export const action = defineAction({
  description: 'Reads the current digest of a tag, so that all jobs of a run test the same image even if the tag moves',
  needs: 'read access to the registry.',
  inputs: {
    image: withDefault('The image', 'quay.io/ceph/ceph', repositorySchema),
    tag: required('The tag. It may be one that moves, such as `v19`', tagSchema),
    ...registryInputs,
  },
  outputs: {
    reference: 'The image as `image:tag@digest`',
    digest: 'Its digest',
  },
  async run(inputs, { log }) {
    const { image: repository, tag } = inputs;
    const reading = withRegistry(inputs, log, { source: repository }, (registry) =>
      registry.repository(repository).getManifest(tag),
    );
    const { digest } = await namedBy('inputs image and tag', reading);
    const reference = formatCandidate({ repository, tag, digest });
    return { outputs: { reference, digest }, summary: `\`${reference}\`` };
  },
});
