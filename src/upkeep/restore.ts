import { ServiceError } from '../base/errors.js';
import { inParallel } from '../base/in-parallel.js';
import { tryParse } from '../base/schema.js';
import { type Digest, formatRepository, type Repository, tagSchema } from '../candidate/reference.js';
import { type Label, movingTag } from '../ledger/names.js';
import type { LedgerReader } from '../ledger/reader.js';
import { type AttachedProof, findProofs, readProvenRecord } from '../proof/record-proof.js';
import type { Registry } from '../registry/registry.js';

/** A proof, and the repository that has it. */
interface Place {
  readonly repository: Repository;
  readonly proof: AttachedProof;
}

/** Records by their number, from the proofs at the targets. */
export type ProvenRecords = ReadonlyMap<number, Buffer>;

/**
 * Reads the records of a lost ledger from the proofs on every tagged image of its targets. If there are several
 * ledgers, it takes the one of the newest proof on the moving tag's image. Empty if there are no proofs.
 *
 * @throws ServiceError if a target cannot be read, or if the moving tags belong to different ledgers.
 */
export async function readProvenRecords(
  registry: Registry,
  repositories: readonly Repository[],
  label: Label,
): Promise<ProvenRecords> {
  const found = await Promise.all(repositories.map((repository) => findAll(registry, repository, label)));
  const ledgers = [...new Set(found.flatMap(({ ledger }) => ledger ?? []))];
  if (ledgers.length > 1) {
    const names = repositories.map(formatRepository).join(', ');
    throw new ServiceError('conflict', `the moving tags ${label} of ${names} belong to ${ledgers.length} ledgers`);
  }
  const [ledger] = ledgers;
  const records = new Map<number, Buffer>();
  for (const { repository, proof } of found.flatMap(({ places }) => places)) {
    if (proof.ledger !== ledger || records.has(proof.n)) continue;
    const bytes = await readProvenRecord(registry, repository, proof);
    if (bytes !== undefined) records.set(proof.n, bytes);
  }
  return new Map([...records].sort(([a], [b]) => a - b));
}

/** All proofs in one repository, and the ledger of its moving tag. */
async function findAll(
  registry: Registry,
  repository: Repository,
  label: Label,
): Promise<{ readonly places: readonly Place[]; readonly ledger: string | undefined }> {
  const client = registry.repository(repository);
  const { tags } = await client.listTags({ listing: 'distribution' });
  const names = tags.flatMap(({ name }) => {
    const tag = tryParse(tagSchema, name);
    return 'value' in tag ? [tag.value] : [];
  });
  const resolved = await inParallel(names, async (tag) => ({ tag, digest: (await client.resolve(tag))?.digest }));
  const digests = [...new Set(resolved.flatMap(({ digest }): Digest[] => (digest === undefined ? [] : [digest])))];
  const moving = resolved.find(({ tag }) => tag === movingTag(label))?.digest;
  const found = await inParallel(digests, (digest) => findProofs(registry, repository, digest, label));
  const [newest] = found
    .filter(({ digest }) => digest === moving)
    .flatMap(({ proofs }) => proofs)
    .sort((a, b) => b.n - a.n);
  return {
    places: found.flatMap(({ proofs }) => proofs.map((proof) => ({ repository, proof }))),
    ledger: newest?.ledger,
  };
}

/** A ledger of proven records and, for records without a proof, of those that the store still has. */
export function mergeLedgers(proven: ProvenRecords, store: LedgerReader): LedgerReader {
  return {
    read: async (n) => proven.get(n) ?? (await store.read(n)),
    async list() {
      const listed = await store.list();
      return listed && [...new Set([...listed, ...proven.keys()])];
    },
  };
}
