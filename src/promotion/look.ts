import type { Tag } from '../candidate/reference.js';
import { previousLabel } from '../ledger/names.js';
import type { LedgerRecord } from '../ledger/record.js';
import { candidateOf, movingTag, previousOf, repositoryOf, type Visible } from './plan.js';
import type { Promotion } from './promotion.js';
import { ownedTargets } from './targets.js';

/** Looks at all that readers find of what a record names. Asks no registry that is not configured. */
export async function look(promotion: Promotion, record: LedgerRecord): Promise<Visible> {
  const { server, registry, label } = promotion;
  const tags = [candidateOf(record.candidate), previousOf(record)].flatMap((one) =>
    one === undefined ? [] : [one.tag],
  );
  const [current, previous, artifacts, images] = await Promise.all([
    server.readLabel(label),
    server.readLabel(previousLabel(label)),
    Promise.all(tags.map(async (tag): Promise<Tag[]> => ((await isPublished(promotion, tag)) ? [tag] : []))),
    Promise.all(
      ownedTargets(promotion.targets, record).map(async (target) => {
        const repository = registry.repository(repositoryOf(target));
        const [versioned, moving] = await Promise.all(
          [target.tag, movingTag(label)].map((tag) => repository.resolve(tag)),
        );
        return [target.repository, { versioned: versioned?.digest, moving: moving?.digest }] as const;
      }),
    ),
  ]);
  return { label: current, previousLabel: previous, artifacts: new Set(artifacts.flat()), images: new Map(images) };
}

async function isPublished({ server }: Promotion, tag: Tag): Promise<boolean> {
  const file = await server.readArtifact(tag);
  return file !== undefined && file !== 'bare';
}
