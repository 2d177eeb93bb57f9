import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { tellingLine, tellRun } from './telling.js';

/** Lines of act's log, and what the demo tells of each. */
test.each<[string, string | undefined]>([
  ['[Promotion/master      ] unable to get git ref: reference not found', undefined],
  ['[master/Branch promotion/master candidate] ⭐ Run Set up job', undefined],
  [
    '[master/Branch promotion/master candidate]   | - chose `v19.2.3-20250717`: version 19.2.3',
    'master candidate: v19.2.3-20250717: version 19.2.3',
  ],
  [
    '[master/Branch promotion/master scenario004-2]   | To test: `a.example/c:v1@sha256:00` (Ansible variables)',
    'master scenario004-2: a.example/c:v1@sha256:00',
  ],
  [
    '[master/Branch promotion/master scenario004-2]   | Reported: success of `job` on `v1`',
    'master scenario004-2: Reported: success',
  ],
  [
    '[Promotion by needs/Promote    ]   🚧  ::warning::one account publishes',
    'Promote: ::warning::one account publishes',
  ],
  ['[Promotion by needs/Promote    ]   | ## current-ceph: promoted v1', 'Promote: current-ceph: promoted v1'],
  ['[Promotion/Dashboard   ]   | - master: regressed: v1, regressed', 'Dashboard: - master: regressed: v1, regressed'],
  ['[Promotion/Dashboard   ] 🏁  Job succeeded', undefined],
  ['[Promotion/Dashboard   ] 🏁  Job failed', 'Dashboard: FAILED'],
])('%s', (line, told) => {
  expect(tellingLine(line)).toBe(told);
});

test("few lines go to the terminal, with the time that the run took; all of act's log goes to a file", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'telling-'));
  const file = path.join(folder, '1.log');
  const said: string[] = [];
  const times = [1000, 13_340];
  const log = [
    '[Promotion/Promote] ⭐ Run Set up job',
    '[Promotion/Promote]   | ## current-ceph: promoted v1',
    '[Promotion/Promote]   | ## current-ceph: promoted v1',
    '[Promotion/Promote] 🏁  Job failed',
  ];
  const work = async (onLine: (line: string) => void) => {
    log.forEach(onLine);
    return { status: 1, log: log.join('\n') };
  };
  const status = await tellRun(work, { say: (line) => said.push(line), file, now: () => times.shift() ?? 0 });
  expect(status).toBe(1);
  expect(said).toEqual([
    '  Promote: current-ceph: promoted v1',
    '  Promote: FAILED',
    `  (12.3 s; act's log: ${path.relative(process.cwd(), file)})`,
  ]);
  expect(readFileSync(file, 'utf8')).toBe(log.join('\n'));
  rmSync(folder, { recursive: true });
});
