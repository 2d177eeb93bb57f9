import { systemClock, unixSeconds } from '../base/clock.js';
import { candidateSchema, formatCandidate } from '../candidate/reference.js';
import { candidateLabelSchema } from '../ledger/names.js';
import { defineAction } from '../runner/action.js';
import { countSchema, flag, required, withDefault } from '../runner/inputs.js';
import { publishCandidate } from '../store/publish.js';
import { storeInputs, withStore } from './shared/store-inputs.js';

export const action = defineAction({
  description: 'Points a label on the image server at the candidate, for the test jobs',
  needs:
    'an SFTP user that may write into the directory of `server`, but needs no right to write `ledger/` or the promoted label; ' +
    "`ssh-keygen` on the runner. No permissions of the workflow's token.",
  inputs: {
    reference: required('The candidate, as `image:tag@digest`', candidateSchema),
    ...storeInputs,
    label: withDefault('The label, which ends in `-testing`', 'ceph-ci-testing', candidateLabelSchema),
    'tags-read': withDefault(
      'How many tags find-stable-tag read; the next run compares its number with this one',
      '0',
      countSchema,
    ),
    'dry-run': flag('Only print what would be done', 'false'),
  },
  outputs: {
    changed: '`true` if anything was changed (in a dry run: would be)',
    'previous-tag': 'The tag that the label pointed at before; empty if there was no label',
    label: 'The label',
  },
  async run(inputs, { log, context, checkOutputs }) {
    checkOutputs({ label: inputs.label });
    const published = await withStore(inputs, log, (server) =>
      publishCandidate({
        server,
        candidate: inputs.reference,
        label: inputs.label,
        tagsRead: inputs['tags-read'],
        runUrl: context.runUrl,
        createdAt: unixSeconds(systemClock),
        dryRun: inputs['dry-run'],
      }),
    );
    const { changed, previousTag, label } = published;
    const verb = !changed ? 'already names' : inputs['dry-run'] ? 'would name' : 'names';
    const before = previousTag === undefined ? 'nothing' : `\`${previousTag}\``;
    return {
      outputs: { changed: String(changed), 'previous-tag': previousTag ?? '', label },
      summary: `\`${label}\` ${verb} \`${formatCandidate(inputs.reference)}\` (before: ${before}).`,
    };
  },
});
