import * as v from 'valibot';
import { formatRepository } from '../candidate/reference.js';
import { targetRepositories } from '../rules/targets.js';
import { defineAction } from '../runner/action.js';
import { countSchema, flag, required, secret, withDefault, words } from '../runner/inputs.js';
import { prune } from '../upkeep/prune.js';
import { registryInputs, targetInputs, withRegistry } from './shared/registry-inputs.js';
import { authorise, requestInputs } from './shared/request-inputs.js';
import { storeInputs, withStore } from './shared/store-inputs.js';
import { targetsSchema } from './shared/targets-input.js';

const { 'plain-http': plainHttp, 'token-hosts': tokenHosts, 'ca-file': caFile } = registryInputs;

export const action = defineAction({
  description:
    'Lists the artifacts and target tags that no rollback needs any more, and deletes them if a person asks for it',
  needs:
    'an account that may read the store at `server`, and one that may read the targets. To delete: `workflow_dispatch` by one of ' +
    '`allowed-actors`, the right to write to both, and the concurrency group of evaluate-and-promote.',
  inputs: {
    ...storeInputs,
    targets: required(
      'Where images were promoted to, as for evaluate-and-promote; tags in other repositories are left alone',
      targetsSchema,
    ),
    ...targetInputs,
    'plain-http': plainHttp,
    'token-hosts': tokenHosts,
    'ca-file': caFile,
    'ledger-key': secret("HMAC key that seals the ledgers' records; empty: seals are not checked"),
    keep: withDefault(
      'How many images of each label to keep: the newest ones that are not quarantined. The promoted image, the one before it, images on hold and images that a label names are always kept',
      '10',
      v.pipe(countSchema, v.minValue(1, 'at least 1 image is kept')),
    ),
    delete: flag('Delete what is listed', 'false'),
    'allowed-actors': words('Who may delete; empty: nobody'),
    'manual-pipelines': requestInputs['manual-pipelines'],
  },
  outputs: {
    artifacts: 'The tags whose artifacts no rollback needs, one per line',
    images: 'The images at the targets that no rollback needs, one per line, as `repository:tag@digest`',
    removed: 'What was deleted, one per line; a registry may refuse to delete tags',
  },
  async run(inputs, { log, context }) {
    if (inputs.delete) authorise('delete', inputs, context);
    const repositories = targetRepositories(inputs.targets);
    const { artifacts, images, removed } = await withRegistry(inputs, log, { targets: repositories }, (registry) =>
      withStore(inputs, log, (server) =>
        prune({
          server,
          registry,
          repositories,
          ledgerKey: inputs['ledger-key'],
          keep: inputs.keep,
          delete: inputs.delete,
          log,
        }),
      ),
    );
    const names = images.map(({ repository, tag, digest }) => `${formatRepository(repository)}:${tag}@${digest}`);
    const all = [...artifacts, ...names];
    return {
      outputs: { artifacts: artifacts.join('\n'), images: names.join('\n'), removed: removed.join('\n') },
      summary: [
        `Not needed by any rollback: artifacts ${artifacts.length}, tags ${images.length}. Deleted: ${removed.length}.`,
        '',
        ...all.map((name) => `- \`${name}\``),
      ].join('\n'),
    };
  },
});
