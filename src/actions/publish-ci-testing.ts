import { systemClock, unixSeconds } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { companionNameSchema, companionsOf, formatSet, type ImageSet, imageSet } from '../candidate/image-set.js';
import { candidateSchema } from '../candidate/reference.js';
import { candidateLabelSchema } from '../ledger/names.js';
import { resolveCompanions } from '../registry/resolve-companions.js';
import { defineAction } from '../runner/action.js';
import { countSchema, flag, list, optional, type ParsedInputs, withDefault } from '../runner/inputs.js';
import { publishCandidate } from '../store/publish.js';
import { registryInputs, withRegistry } from './shared/registry-inputs.js';
import { givenSet, setInput } from './shared/set-inputs.js';
import { formatSetOutputs, setOutputs } from './shared/set-outputs.js';
import { storeInputs, withStore } from './shared/store-inputs.js';

const inputs = {
  reference: optional('The candidate, as `image:tag@digest`; or name `set`', candidateSchema),
  set: setInput,
  companions: list(
    'With `reference`: images that are tested and promoted with it, one per line, as `image:tag` or, pinned, as `image:tag@digest`. Their digests are looked up here, and not again. `-> repository` after it, as in `targets`, is ignored',
    companionNameSchema,
  ),
  ...storeInputs,
  ...registryInputs,
  label: withDefault('The label, which ends in `-testing`', 'ceph-ci-testing', candidateLabelSchema),
  'tags-read': withDefault(
    'How many tags find-stable-tag read; the next run compares its number with this one',
    '0',
    countSchema,
  ),
  'dry-run': flag('Only print what would be done', 'false'),
};

export const action = defineAction({
  description: 'Points a label in the store at the candidate, for the test jobs',
  needs:
    'an account that may write to the store at `server`; it needs no right to write `ledger/` or the promoted label. With an SFTP server, ' +
    '`ssh-keygen` on the runner. With a store in git, `git` on the runner and the permission `contents: write`.',
  inputs,
  outputs: {
    ...setOutputs,
    changed: '`true` if anything was changed (in a dry run: would be)',
    'previous-tag': 'The tag that the label pointed at before; empty if there was no label',
    label: 'The label',
  },
  async run(settings, { log, context, checkOutputs }) {
    const set = await readSet(settings, log);
    const named = formatSetOutputs(set);
    checkOutputs({ label: settings.label, ...named });
    const published = await withStore(settings, log, (server) =>
      publishCandidate({
        server,
        candidate: set,
        label: settings.label,
        tagsRead: settings['tags-read'],
        runUrl: context.runUrl,
        createdAt: unixSeconds(systemClock),
        dryRun: settings['dry-run'],
      }),
    );
    const { changed, previousTag, label } = published;
    const verb = !changed ? 'already names' : settings['dry-run'] ? 'would name' : 'names';
    const before = previousTag === undefined ? 'nothing' : `\`${previousTag}\``;
    return {
      outputs: { ...named, changed: String(changed), 'previous-tag': previousTag ?? '', label },
      summary: `\`${label}\` ${verb} ${describeSet(set)} (before: ${before}).`,
    };
  },
});

/** The set to publish. Companions that are named by a tag are resolved to their digests. */
async function readSet(settings: ParsedInputs<typeof inputs>, log: Log): Promise<ImageSet> {
  const { companions } = settings;
  const set = givenSet(settings);
  if (set === undefined) throw new UserError('input reference: required and not set; the input set can take its place');
  if (companions.length === 0) return set;
  if (settings.set !== undefined) throw new UserError('input companions: not used with set, which names them already');
  return withRegistry(settings, log, { source: set.repository }, async (registry) =>
    imageSet(set, await resolveCompanions(registry, companions, log)),
  );
}

function describeSet(set: ImageSet): string {
  const references = formatSet(set)
    .split('\n')
    .map((reference) => `\`${reference}\``);
  return companionsOf(set).length === 0 ? references.join() : `the set of ${references.join(', ')}`;
}
