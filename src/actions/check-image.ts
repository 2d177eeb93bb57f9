import { checkImage, type ImageFacts } from '../candidate/image-check.js';
import { type Candidate, candidateSchema, formatCandidate } from '../candidate/reference.js';
import type { Registry } from '../registry/registry.js';
import { defineAction } from '../runner/action.js';
import { required } from '../runner/inputs.js';
import { namedBy, registryFrom, registryInputs } from './shared/registry-inputs.js';

export const action = defineAction({
  description:
    'Checks that an image is what its tag says: its platforms, and what its configuration tells of the build',
  needs: 'read access to the registry.',
  inputs: {
    reference: required('The image, as `image:tag@digest`; it is read by the digest', candidateSchema),
    ...registryInputs,
  },
  outputs: {
    outcome: '`success`, `failure`, or `unknown` where the image does not say enough',
    'tested-digest': 'The digest that was checked; empty where the outcome is unknown',
  },
  async run(inputs, { log }) {
    const { reference } = inputs;
    const registry = await registryFrom(inputs, log, reference.repository);
    const check = checkImage(reference.tag, await namedBy('input reference', readFacts(registry, reference)));
    await registry.close();
    const lines = check.findings.map(
      ({ state, what }) => `- ${state === 'same' ? '✅' : state === 'other' ? '❌' : '❔'} ${what}`,
    );
    return {
      outputs: { outcome: check.outcome, 'tested-digest': check.outcome === 'unknown' ? '' : reference.digest },
      summary: [`\`${formatCandidate(reference)}\`: ${check.outcome}`, '', ...lines].join('\n'),
    };
  },
});

/** The configurations of an image, of every platform that it has. */
async function readFacts(registry: Registry, { repository, digest }: Candidate): Promise<ImageFacts> {
  const manifest = await registry.getManifest(repository, digest);
  if (manifest.kind === 'image') {
    return { isIndex: false, configs: [await registry.getConfig(repository, manifest)] };
  }
  const configs = [];
  for (const child of manifest.children.filter(({ platform }) => platform !== undefined)) {
    const image = await registry.getManifest(repository, child.digest);
    if (image.kind === 'image') configs.push(await registry.getConfig(repository, image));
  }
  return { isIndex: true, configs };
}
