import { systemClock, unixSeconds } from '../base/clock.js';
import { durationSchema } from '../base/schema.js';
import { explainMarkdown } from '../candidate/explain.js';
import { platformSchema } from '../candidate/platform.js';
import { distroSchema, flavorSchema } from '../candidate/policy.js';
import { formatCandidate, formatRepository, repositorySchema } from '../candidate/reference.js';
import { archSchema, formatVersion } from '../candidate/scheme.js';
import { schemeNames, schemeSchema } from '../candidate/schemes.js';
import { findStableTag } from '../registry/find-stable-tag.js';
import { defineAction } from '../runner/action.js';
import { choice, countSchema, flag, lineSchema, list, optional, withDefault } from '../runner/inputs.js';
import { namedBy, registryInputs, withRegistry } from './shared/registry-inputs.js';

/** Within this there is an answer or an error. Registries that pace us ask for a minute or two. */
const LIMIT_MS = 180_000;

export const action = defineAction({
  description: 'Reads all tags of an image and picks the newest stable one, with its digest',
  needs: 'read access to the registry.',
  inputs: {
    image: withDefault('The image', 'quay.io/ceph/daemon', repositorySchema),
    scheme: withDefault(`What its tags mean: ${schemeNames.join(', ')}`, 'ceph-daemon', schemeSchema),
    flavor: optional('The Ceph release to stay on, as in `pacific`; empty: the highest version of all', flavorSchema),
    arch: optional('`x86_64` or `aarch64`; empty: a tag that names no architecture first', archSchema),
    distro: optional(
      'A family such as `centos`, or exactly one such as `centos-stream9`; empty: `centos`',
      distroSchema,
    ),
    exclude: list('Tags that must not be chosen, exactly', lineSchema),
    'minimum-age': optional(
      'How long a tag must have been there, as in `7 days`; where the age is unknown it passes with a warning',
      durationSchema,
    ),
    platforms: list('Platforms that the image must have, as in `linux/amd64`', platformSchema),
    'prefer-dated': flag(
      'Scheme `ceph`: prefer `v17.2.6-20230410` to `v17.2.6`, which moves with each rebuild',
      'false',
    ),
    listing: choice(
      "How to list: `auto` takes Quay's API where the server is Quay.",
      ['auto', 'quay', 'distribution'],
      'auto',
    ),
    'known-tags': withDefault(
      'How many tags there were last time; a listing that shrank by more than a fifth is refused; 0: unknown',
      '0',
      countSchema,
    ),
    ...registryInputs,
  },
  outputs: {
    reference: 'The candidate, as `image:tag@digest`',
    image: 'The image without tag',
    tag: 'Its tag',
    digest: 'Its digest',
    version: 'Its version, as in `6.0.7`',
    flavor: 'Its Ceph release; empty where the tag names none',
    aliases: 'Other tags on the same digest, one a line, where the registry tells',
    'tags-read':
      "How many tags were read: the next run's `known-tags`. Where the registry can filter, or lists by name, " +
      'those that could not be stable are not among them',
  },
  async run(inputs, { log }) {
    const finding = withRegistry(inputs, log, { source: inputs.image }, (registry) =>
      findStableTag({
        registry,
        repository: inputs.image,
        policy: {
          scheme: inputs.scheme,
          flavor: inputs.flavor,
          arch: inputs.arch,
          distro: inputs.distro,
          exclude: inputs.exclude,
          minimumAge: inputs['minimum-age'] ?? 0,
          now: unixSeconds(systemClock),
          preferDated: inputs['prefer-dated'],
          platforms: inputs.platforms,
        },
        listing: inputs.listing,
        knownTags: inputs['known-tags'],
        limitMs: LIMIT_MS,
        log,
      }),
    );
    const { candidate, selection, aliases, tagsRead } = await namedBy('input image', finding);
    for (const warning of selection.warnings) log.warning(warning);
    return {
      outputs: {
        reference: formatCandidate(candidate),
        image: formatRepository(candidate.repository),
        tag: candidate.tag,
        digest: candidate.digest,
        version: formatVersion(selection.chosen.version),
        flavor: selection.chosen.flavor ?? '',
        aliases: aliases.join('\n'),
        'tags-read': String(tagsRead),
      },
      summary: `\`${formatCandidate(candidate)}\`\n\n${explainMarkdown(selection, aliases)}`,
    };
  },
});
