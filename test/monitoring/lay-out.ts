import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lastDecisionPath } from '../../src/image-server/last-decision.js';
import { sealRecord } from '../../src/image-server/ledger.js';
import type { BranchHistory } from '../../src/monitoring/read-branch.js';
import { SETTINGS } from './fixture.js';

/** Lays a branch out in a directory of the image server, as its writers do. */
export async function layOut(directory: string, history: Partial<BranchHistory>): Promise<void> {
  const { records = [], candidateFiles = [], candidateTag, labelTag, lastDecision } = history;
  const { label, candidateLabel } = SETTINGS;
  const put = (name: string, text: string | Buffer) => writeFile(path.join(directory, name), text);
  await mkdir(path.join(directory, 'ledger', label), { recursive: true });
  for (const record of records) await put(`ledger/${label}/${record.n}.json`, sealRecord(record, undefined));
  for (const [tag, file] of candidateFiles) {
    await put(tag, tag);
    await put(`${tag}.json`, JSON.stringify(file));
  }
  if (labelTag !== undefined) await symlink(labelTag, path.join(directory, label));
  if (candidateTag !== undefined) await symlink(candidateTag, path.join(directory, candidateLabel));
  if (lastDecision !== undefined) await put(lastDecisionPath(label), JSON.stringify(lastDecision));
}
