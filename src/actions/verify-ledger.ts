import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { formatCandidate, formatRepository } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import { promotedLabelSchema } from '../ledger/names.js';
import { recordPath } from '../ledger/paths.js';
import { verifyLedger } from '../ledger/verify.js';
import { plural } from '../monitoring/words.js';
import { targetRepositories } from '../rules/targets.js';
import { defineAction, type Result } from '../runner/action.js';
import { lineSchema, optional, type ParsedInputs, renamed, required, secret, withDefault } from '../runner/inputs.js';
import { ledgerOf } from '../store/reader.js';
import { mergeLedgers, readProvenRecords } from '../upkeep/restore.js';
import { verifyPromotion } from '../upkeep/verify.js';
import { wordHint } from './shared/hints.js';
import { smallApis } from './shared/http.js';
import { registryInputs, targetInputs, withRegistry } from './shared/registry-inputs.js';
import { readableSchema, readerInputs, withReader } from './shared/store-inputs.js';
import { targetsSchema } from './shared/targets-input.js';
import { readAuthority, verifyInputs } from './shared/verify-inputs.js';

const { 'plain-http': plainHttp, 'token-hosts': tokenHosts, 'ca-file': caFile } = registryInputs;

const inputs = {
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
  'restore-to': optional(
    'A directory to write a lost ledger to, from the proofs at `targets`: `ledger/<label>/<n>.json`, to check and to copy into the store. If it is set, nothing else is verified',
    lineSchema,
  ),
  'ledger-key': secret("HMAC key that seals the ledger's records; empty: seals are not checked"),
  ...verifyInputs,
};

export const action = defineAction({
  description: 'Verifies what is promoted: the ledger with its decisions, the labels, and the images at the targets',
  needs:
    'read access to the store at `url` and to the targets. It changes nothing there. With `ledger-key` it also checks seals.',
  inputs,
  outputs: {
    verified: '`true` or `false`',
    records: 'How many records were verified',
    problem: 'The first problem that was found; empty if there is none',
  },
  async run(settings, { log, context }) {
    const { url, 'promoted-label': label } = settings;
    const repositories = settings.targets === undefined ? [] : targetRepositories(settings.targets);
    const http = await smallApis(log, settings);
    const restoreTo = settings['restore-to'];
    if (restoreTo !== undefined) return restore(settings, path.resolve(context.workspace, restoreTo), http, log);
    const authority = await readAuthority(settings, context.workspace);
    const { records, problem, hint, signedBy, withoutReferrers } = await withRegistry(
      settings,
      log,
      { targets: repositories },
      (registry) =>
        withReader(url, settings, http, log, (reader) =>
          verifyPromotion({ reader, registry, label, ledgerKey: settings['ledger-key'], repositories, authority }),
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
              `\`${label}\`: ${plural(records.length, 'record')} verified; \`${head === undefined ? '' : formatCandidate(head.candidate)}\` is promoted.`,
              '',
              ...where,
              ...signedBy.map((line) => `- signed: ${line}`),
              ...withoutReferrers.map(
                (name) =>
                  `- \`${name}\` keeps no referrers, so nothing there would show if the ledger were cut or replaced`,
              ),
            ].join('\n')
          : `\`${label}\`: ${problem}`,
      ...(problem !== undefined && {
        failure: hint === undefined ? problem : `${problem}; ${wordHint(hint, inputs)}`,
      }),
    };
  },
});

/** Writes the records of a lost ledger to a directory, and checks whether they are a whole ledger. */
async function restore(
  settings: ParsedInputs<typeof inputs>,
  directory: string,
  http: Http,
  log: Log,
): Promise<Result<'verified' | 'records' | 'problem'>> {
  const { url, targets, 'promoted-label': label, 'ledger-key': key } = settings;
  if (targets === undefined) throw new UserError('input targets: required with restore-to: they have the proofs');
  const repositories = targetRepositories(targets);
  const proven = await withRegistry(settings, log, { targets: repositories }, (registry) =>
    readProvenRecords(registry, repositories, label),
  );
  for (const [n, bytes] of proven) {
    const file = path.join(directory, recordPath(label, n));
    await mkdir(path.dirname(file), { recursive: true });
    // Nothing is overwritten, since somebody may still need a record that is already there.
    await writeFile(file, bytes, { flag: 'wx' });
    log.info(`written: ${file}`);
  }
  const { records, problem } = await withReader(url, settings, http, log, (reader) =>
    verifyLedger(mergeLedgers(proven, ledgerOf(reader, label)), { label, key }),
  );
  const wrong =
    problem ??
    (proven.size === 0 ? `the targets have no proof of a record of ${label}: there is nothing to restore` : undefined);
  const found = `${plural(proven.size, 'record')} of \`${label}\` found in the proofs and written to \`${directory}\``;
  return {
    outputs: { verified: String(wrong === undefined), records: String(records.length), problem: wrong ?? '' },
    summary:
      wrong === undefined
        ? `${found}. Together with the store's records they make a complete ledger of ${plural(records.length, 'record')}.`
        : `${found}. They do not make a complete ledger: ${wrong}.`,
    ...(wrong !== undefined && { failure: wrong }),
  };
}
