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
 * Verifies that somebody whom we trust signed the promotion of the image that a label's ledger says is promoted, at the
 * first of its targets. `digest` is what was read of the label before.
 *
 * @returns who signed it.
 * @throws ServiceError of kind `forbidden` if it is not to be believed.
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
    throw new ServiceError('conflict', `${store.where}: ${label} was promoted anew while it was read; run again`);
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
