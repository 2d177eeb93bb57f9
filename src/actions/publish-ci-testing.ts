import { systemClock, unixSeconds } from '../base/clock.js';
import { candidateSchema, formatCandidate } from '../candidate/reference.js';
import { candidateLabelSchema } from '../ledger/names.js';
import { defineAction } from '../runner/action.js';
import { countSchema, flag, required, withDefault } from '../runner/inputs.js';
import { publishCandidate } from '../store/publish.js';
import { storeInputs, withStore } from './shared/store-inputs.js';

export const action = defineAction({
  description: 'Names the candidate for the test jobs, by a label on the image server',
  needs:
    'an SFTP user that may write into the directory of `server`, but needs no right to write `ledger/` or the promoted label; ' +
    "`ssh-keygen` on the runner. No permissions of the workflow's token.",
  inputs: {
    reference: required('The candidate, as `image:tag@digest`', candidateSchema),
    ...storeInputs,
    label: withDefault('The label, which ends in `-testing`', 'ceph-ci-testing', candidateLabelSchema),
    'tags-read': withDefault(
      'How many tags find-stable-tag read; kept for the next run to compare with',
      '0',
      countSchema,
    ),
    'dry-run': flag('Only say what would be done', 'false'),
  },
  outputs: {
    changed: '`true` where anything was changed (in a dry run: would be)',
    'previous-tag': 'What the label pointed at before; empty where there was none',
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
