import { oneLine, UserError } from '../base/errors.js';
import { type Candidate, formatRepository, sameRepository } from '../candidate/reference.js';
import type { Attestation } from '../criteria/criteria-file.js';
import type { Evidence, JobResult } from '../criteria/job-result.js';
import { type Authority, keysAuthority } from '../proof/bundle.js';
import { findStatement } from '../proof/signatures.js';
import type { Registry } from '../registry/registry.js';

/** An attestation that the criteria want, with the authority whose signature counts. */
export interface WantedAttestation {
  readonly wanted: Attestation;
  readonly authority: Authority;
}

/**
 * Adds to each attestation the authority whose signature counts. `readRoot` reads the trusted root, which is needed to
 * check identities.
 *
 * @throws UserError if a key or the trusted root cannot be read.
 */
export async function wantAttestations(
  attestations: readonly Attestation[],
  readRoot: () => Promise<string>,
): Promise<readonly WantedAttestation[]> {
  return Promise.all(attestations.map(async (wanted) => ({ wanted, authority: await authorityOf(wanted, readRoot) })));
}

async function authorityOf({ name, by }: Attestation, readRoot: () => Promise<string>): Promise<Authority> {
  if ('issuer' in by) return { kind: 'identity', ...by, trustedRoot: await readRoot() };
  try {
    return keysAuthority(by.keys);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`criteria: attestation ${name}: ${error.message}`, { hint: 'criteria' });
  }
}

/**
 * Looks for the signed statements about an image, in its own repository and in those that the criteria name. A result
 * keeps what was verified, so that the decision evaluates again without a registry. `now` in unix seconds.
 */
export async function attestationEvidence(
  attestations: readonly WantedAttestation[],
  { repository, tag, digest }: Candidate,
  registry: Registry,
  now: number,
): Promise<Pick<Evidence, 'results' | 'remarks'>> {
  const results: JobResult[] = [];
  const remarks = new Map<string, string>();
  for (const { wanted, authority } of attestations) {
    const { name, type, repositories } = wanted;
    const others = repositories.filter((one) => !sameRepository(one, repository));
    const problems: string[] = [];
    for (const place of [repository, ...others]) {
      const found = await findStatement(registry, place, digest, type, authority);
      if ('problem' in found) {
        problems.push(`at ${formatRepository(place)}: ${found.problem}`);
        continue;
      }
      const attestation = { type, by: found.by, repository: formatRepository(place), sha256: found.sha256 };
      results.push({
        job: name,
        outcome: 'success',
        candidate: { tag, digest },
        timestamp: now,
        source: 'attestation',
        attestation,
      });
      break;
    }
    if (problems.length > others.length) remarks.set(name, oneLine(`no valid statement ${problems.join('; ')}`, 600));
  }
  return { results, remarks };
}
