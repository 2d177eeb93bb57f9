import * as v from 'valibot';
import { candidateLabelSchema } from '../../src/ledger/names.js';
import type { Setup } from '../../src/upkeep/setup.js';
import { CURRENT, NOW, SOURCE } from '../ledger/fixture.js';

/** A set-up with a registry and the changes, in which nothing else is set. */
export function setupWith(registry: Setup['registry'], changes: Partial<Setup>): Setup {
  return {
    image: SOURCE,
    registry,
    targets: [],
    hasTargetLogin: false,
    withServer: undefined,
    label: CURRENT,
    candidateLabel: v.parse(candidateLabelSchema, 'ceph-ci-testing'),
    rules: { label: CURRENT },
    withReader: undefined,
    dlrn: undefined,
    hasDlrnLogin: false,
    criteria: undefined,
    workflows: new Map(),
    neededJobs: [],
    readsZuul: false,
    readSigner: () => undefined,
    now: NOW,
    ...changes,
  };
}
