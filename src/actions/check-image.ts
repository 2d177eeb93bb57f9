import { checkImage, expectationSchema, type ImageFacts } from '../candidate/image-check.js';
import { candidateSchema, type Digest, formatCandidate } from '../candidate/reference.js';
import { readImages } from '../registry/images.js';
import type { RepositoryClient } from '../registry/registry.js';
import { defineAction } from '../runner/action.js';
import { list, required } from '../runner/inputs.js';
import { namedBy, registryInputs, withRegistry } from './shared/registry-inputs.js';

export const action = defineAction({
  description:
    'Checks that an image is what its tag says: its platforms, and what its configuration says about the build',
  needs: 'read access to the registry.',
  inputs: {
    reference: required('The image, as `image:tag@digest`; it is read by the digest', candidateSchema),
    expect: list(
      'What its configuration must also say, as `env NAME=value` or `label NAME=value`, one per line; replaces the check of that name that the tag implies',
      expectationSchema,
    ),
    ...registryInputs,
  },
  outputs: {
    outcome: '`success`, `failure`, or `unknown` if the image does not say enough',
    'tested-digest': 'The digest that was checked; empty if the outcome is unknown',
  },
  async run(inputs, { log }) {
    const { reference } = inputs;
    const facts = withRegistry(inputs, log, { source: reference.repository }, (registry) =>
      readFacts(registry.repository(reference.repository), reference.digest),
    );
    const check = checkImage(reference.tag, await namedBy('input reference', facts), inputs.expect);
    const lines = check.findings.map(
      ({ state, what }) => `- ${state === 'same' ? '✅' : state === 'other' ? '❌' : '❔'} ${what}`,
    );
    return {
      outputs: { outcome: check.outcome, 'tested-digest': check.outcome === 'unknown' ? '' : reference.digest },
      summary: [`\`${formatCandidate(reference)}\`: ${check.outcome}`, '', ...lines].join('\n'),
    };
  },
});

/** Reads the configuration of each of the image's platforms. */
async function readFacts(repository: RepositoryClient, digest: Digest): Promise<ImageFacts> {
  const manifest = await repository.getManifest(digest);
  const images = await readImages(repository, manifest);
  return { isIndex: manifest.kind === 'index', configs: await Promise.all(images.map((image) => image.config())) };
}
