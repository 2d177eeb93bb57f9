import { ServiceError } from '../base/errors.js';
import type { Digest } from '../candidate/reference.js';
import { readHead } from '../ledger/head.js';
import { type Label, movingTag } from '../ledger/names.js';
import { endOf } from '../promotion/reconcile.js';
import type { Authority } from '../proof/bundle.js';
import { verifySigned } from '../proof/signatures.js';
import type { Registry } from '../registry/registry.js';
import { ledgerOf, type StoreReader } from '../store/reader.js';

/**
 * Verifies that a trusted authority signed the promotion of a label's promoted image, at the first of its targets.
 * `digest` is the one that was read from the label before.
 *
 * @returns the signer.
 * @throws ServiceError of kind `forbidden` if the promotion is not believed.
 */
export async function requireSigned(
  store: StoreReader,
  registry: Registry,
  label: Label,
  digest: Digest,
  authority: Authority,
): Promise<string> {
  const ledger = ledgerOf(store, label);
  const head = await readHead(ledger, { label });
  const target = head?.record.targets.find(({ source }) => source.digest === head.record.candidate.digest);
  if (head === undefined || target === undefined || head.record.candidate.digest !== digest) {
    throw new ServiceError('conflict', `${store.where}: ${label} was promoted again while it was read; run again`);
  }
  const moving = (await registry.repository(target.repository).resolve(movingTag(label)))?.digest;
  const end = await endOf(ledger, head);
  const said = await verifySigned(
    registry,
    { label, ledger, end, target: target.repository, digest: target.digest, moving },
    authority,
  );
  if ('by' in said) return said.by;
  throw new ServiceError('forbidden', said.problem, { hint: 'verify' });
}
