import { formatCandidate, formatRepository } from '../candidate/reference.js';
import { promotedLabelSchema } from '../ledger/names.js';
import { targetRepositories } from '../rules/targets.js';
import { defineAction } from '../runner/action.js';
import { optional, renamed, required, secret, withDefault } from '../runner/inputs.js';
import { verifyPromotion } from '../upkeep/verify.js';
import { smallApis } from './shared/http.js';
import { registryInputs, targetInputs, withRegistry } from './shared/registry-inputs.js';
import { readableSchema, readerInputs, withReader } from './shared/store-inputs.js';
import { targetsSchema } from './shared/targets-input.js';

const { 'plain-http': plainHttp, 'token-hosts': tokenHosts, 'ca-file': caFile } = registryInputs;

export const action = defineAction({
  description: 'Verifies what is promoted: the ledger with its decisions, the labels, and the images at the targets',
  needs:
    'read access to the image server over HTTP and to the targets. It changes nothing. With `ledger-key` it also checks seals.',
  inputs: {
    url: required(
      'The store that the label and its ledger are in: the `https://` URL of its directory, or an address as for `server` of evaluate-and-promote, such as `git`',
      readableSchema,
    ),
    ...readerInputs,
    'promoted-label': renamed(withDefault('The promoted label', 'current-ceph', promotedLabelSchema), 'label'),
    targets: optional(
      'The only repositories that may be promoted to, as for evaluate-and-promote; empty: those that the ledger names',
      targetsSchema,
    ),
    'target-username': {
      ...targetInputs['target-username'],
      description: 'User that reads `targets`; empty: anonymous',
    },
    'target-password': targetInputs['target-password'],
    'plain-http': plainHttp,
    'token-hosts': tokenHosts,
    'ca-file': caFile,
    'ledger-key': secret("Key of the HMAC that seals the ledger's records; empty: seals are not checked"),
  },
  outputs: {
    verified: '`true` or `false`',
    records: 'How many records were verified',
    problem: 'The first problem that was found; empty if there is none',
  },
  async run(inputs, { log }) {
    const { url, 'promoted-label': label } = inputs;
    const repositories = inputs.targets === undefined ? [] : targetRepositories(inputs.targets);
    const http = await smallApis(log, inputs);
    const { records, problem } = await withRegistry(inputs, log, { targets: repositories }, (registry) =>
      withReader(url, inputs, http, log, (reader) =>
        verifyPromotion({ reader, registry, label, ledgerKey: inputs['ledger-key'], repositories }),
      ),
    );
    const head = records.at(-1);
    const where =
      head?.targets.map((target) => `- \`${formatRepository(target.repository)}:${label}\` is \`${target.digest}\``) ??
      [];
    return {
      outputs: { verified: String(problem === undefined), records: String(records.length), problem: problem ?? '' },
      summary:
        problem === undefined
          ? [
              `\`${label}\`: ${records.length} records verified; \`${head === undefined ? '' : formatCandidate(head.candidate)}\` is promoted.`,
              '',
              ...where,
            ].join('\n')
          : `\`${label}\`: ${problem}`,
      ...(problem !== undefined && { failure: problem }),
    };
  },
});
