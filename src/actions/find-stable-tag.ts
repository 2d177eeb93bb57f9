import { systemClock, unixSeconds } from '../base/clock.js';
import { durationSchema } from '../base/schema.js';
import { explainMarkdown } from '../candidate/explain.js';
import { companionNameSchema, imageSet } from '../candidate/image-set.js';
import { platformSchema } from '../candidate/platform.js';
import { distroSchema, flavorSchema } from '../candidate/policy.js';
import { formatCandidate, formatRepository, repositorySchema } from '../candidate/reference.js';
import { archSchema, formatVersion } from '../candidate/scheme.js';
import { schemeFor, schemeNameSchema, schemeNames } from '../candidate/schemes.js';
import { findStableTag } from '../registry/find-stable-tag.js';
import { resolveCompanions } from '../registry/resolve-companions.js';
import { defineAction } from '../runner/action.js';
import { choice, countSchema, flag, lineSchema, list, optional, withDefault } from '../runner/inputs.js';
import { namedBy, registryInputs, withRegistry } from './shared/registry-inputs.js';
import { formatSetOutputs, setOutputs } from './shared/set-outputs.js';

/** The time limit of a run. A registry's rate limit may ask it to wait for a minute or two. */
const LIMIT_MS = 180_000;

export const action = defineAction({
  description: 'Reads all tags of an image and picks the newest stable one, with its digest',
  needs: 'read access to the registry.',
  inputs: {
    image: withDefault('The image', 'quay.io/ceph/ceph', repositorySchema),
    scheme: optional(
      `How its tags are read: ${schemeNames.join(', ')}; empty: by the repository's name, which is known for \`…/ceph/ceph\` and \`…/ceph/daemon\``,
      schemeNameSchema,
    ),
    pattern: optional(
      'Scheme `pattern`: a regular expression that matches a whole tag, with the group `version` and optionally `build`, `flavor` and `arch`, as in `v(?<version>\\d+\\.\\d+)-r(?<build>\\d+)`',
      lineSchema,
    ),
    flavor: optional(
      'The Ceph release to stay on, by its name or its major version, as in `squid` or `19`; empty: the highest version of all',
      flavorSchema,
    ),
    arch: optional('`x86_64` or `aarch64`; empty: tags that name no architecture are preferred', archSchema),
    distro: optional(
      'A family such as `centos`, or one distribution such as `centos-stream9`; empty: `centos`',
      distroSchema,
    ),
    exclude: list('What must not be chosen: a tag, a version with all its builds, or a digest', lineSchema),
    'minimum-age': optional(
      'How old a tag must be, as in `7 days`; if the listing has no times, the build time in the image counts',
      durationSchema,
    ),
    'minimum-age-unknown': choice(
      'What to do with a tag whose age neither the listing nor its image tells.',
      ['refuse', 'pass'],
      'refuse',
    ),
    platforms: list('Platforms that the image must have, as in `linux/amd64`', platformSchema),
    'prefer-dated': flag(
      'Scheme `ceph`: prefer `v19.2.3-20250717` to `v19.2.3`, which moves with each rebuild',
      'true',
    ),
    listing: choice(
      "How to list tags: `auto` uses Quay's API if the server is Quay.",
      ['auto', 'quay', 'distribution'],
      'auto',
    ),
    'known-tags': withDefault(
      'How many tags there were in the last run; a listing that shrank by more than a fifth is refused; 0: unknown',
      '0',
      countSchema,
    ),
    companions: list(
      'Images that are tested and promoted with it, one per line, as `image:tag` or, pinned, as `image:tag@digest`. Their digests are looked up here, and not again. `-> repository` after it, as in `targets`, is ignored',
      companionNameSchema,
    ),
    ...registryInputs,
  },
  outputs: {
    reference: 'The candidate, as `image:tag@digest`',
    image: 'The image without tag',
    tag: 'Its tag',
    digest: 'Its digest',
    version: 'Its version, such as `6.0.7`',
    flavor: 'Its Ceph release; empty if the tag names none',
    aliases: 'Other tags of the same digest, one per line, if the registry lists digests',
    ...setOutputs,
    'tags-read':
      "How many tags were read: the next run's `known-tags`. If the registry can filter, or lists in lexical order, " +
      'tags that cannot be stable are not counted',
  },
  async run(inputs, { log }) {
    const finding = withRegistry(inputs, log, { source: inputs.image }, async (registry) => {
      const found = await findStableTag({
        registry,
        repository: inputs.image,
        policy: {
          scheme: schemeFor(inputs.image, { name: inputs.scheme, pattern: inputs.pattern }),
          flavor: inputs.flavor,
          arch: inputs.arch,
          distro: inputs.distro,
          exclude: inputs.exclude,
          minimumAge: inputs['minimum-age'] ?? 0,
          unknownAgePasses: inputs['minimum-age-unknown'] === 'pass',
          now: unixSeconds(systemClock),
          preferDated: inputs['prefer-dated'],
          platforms: inputs.platforms,
        },
        listing: inputs.listing,
        knownTags: inputs['known-tags'],
        limitMs: LIMIT_MS,
        log,
      });
      return { ...found, set: imageSet(found.candidate, await resolveCompanions(registry, inputs.companions, log)) };
    });
    const { candidate, set, selection, aliases, tagsRead } = await namedBy('input image', finding);
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
        ...formatSetOutputs(set),
        'tags-read': String(tagsRead),
      },
      summary: `\`${formatCandidate(candidate)}\`\n\n${explainMarkdown(selection, aliases)}`,
    };
  },
});
