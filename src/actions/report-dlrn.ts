import { systemClock, unixSeconds } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { timeSchema } from '../base/schema.js';
import { candidateSchema, digestSchema } from '../candidate/reference.js';
import { formatNotes } from '../dlrn/notes.js';
import { outcomeSchema, reportOutcome } from '../dlrn/report.js';
import { defineAction } from '../runner/action.js';
import { flag, lineSchema, optional, required, urlSchema } from '../runner/inputs.js';
import { caInput } from './shared/ca-input.js';
import { dlrnFrom, dlrnInputs, subjectFrom } from './shared/dlrn-inputs.js';
import { smallApis } from './shared/http.js';

export const action = defineAction({
  description: 'Reports the result of a job on a candidate to DLRN, and names the candidate in `notes`',
  needs: 'a DLRN user that may report results. Run it after a failure too: `if: ${{ !cancelled() }}`.',
  inputs: {
    'dlrn-url': required('The DLRN API, as `https://trunk.rdoproject.org/api-centos9-master-uc`', urlSchema),
    ...dlrnInputs,
    'job-id': required('The name of the job, as in the criteria', lineSchema),
    'job-url': optional('The page of the result; empty: the page of this run and attempt', urlSchema),
    outcome: required(
      'The result of the job, as in `job.status`: success or failure; cancelled and skipped are not reported',
      outcomeSchema,
    ),
    reference: required('The image that the job proved to have tested, as `image:tag@digest`', candidateSchema),
    'set-digest': optional(
      'The set that the job proved to have tested, as the output `set-digest` of consume-ci-testing; empty without companions',
      digestSchema,
    ),
    timestamp: optional('When the job ended, in unix seconds or RFC 3339; empty: now', timeSchema),
    ...caInput,
    'dry-run': flag('Only print what would be reported', 'false'),
  },
  outputs: {
    notes: 'What is reported as `notes`: `<tag>@<digest>`, and for a set `<tag>@<digest> set=<digest>`',
    reported: '`true` if DLRN has the result',
    'aggregate-hash': 'The aggregate hash that the result is on; empty if it is on a commit',
  },
  async run(inputs, { log, context, checkOutputs }) {
    const http = await smallApis(log, inputs);
    const dlrn = dlrnFrom(inputs, inputs['dlrn-url'], http, log);
    const jobUrl = inputs['job-url']?.href ?? context.runUrl;
    if (jobUrl === undefined) throw new UserError('input job-url: not set, and there is no run on a forge to link to');
    const subject = await subjectFrom(inputs, http);
    if (subject === undefined) {
      throw new UserError('input aggregate-hash: not set; set it, or commit-hash and distro-hash, or repository-url');
    }
    const setDigest = inputs['set-digest'];
    checkOutputs({ notes: formatNotes({ ...inputs.reference, setDigest }) });
    const now = unixSeconds(systemClock);
    const { notes, reported } = await reportOutcome({
      dlrn,
      subject,
      jobId: inputs['job-id'],
      jobUrl,
      outcome: inputs.outcome,
      candidate: inputs.reference,
      setDigest,
      timestamp: inputs.timestamp ?? now,
      now,
      dryRun: inputs['dry-run'],
      log,
    });
    return {
      outputs: {
        notes,
        reported: String(reported),
        'aggregate-hash': subject.kind === 'aggregate' ? subject.hash : '',
      },
      summary: `${reported ? 'Reported' : 'Not reported'}: ${inputs.outcome} of \`${inputs['job-id']}\` on \`${notes}\`.`,
    };
  },
});
