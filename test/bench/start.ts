import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../sandbox/project.js';

/**
 * How long each bundle takes to start: without any input, so that it ends at the first required one, or soon after.
 * Side by side with a node that does nothing, one after the other, since a machine is not equally fast all the time.
 */

const ROUNDS = 15;
/** Milliseconds over a bare node. */
const BUDGET = 60;

const dist = path.join(projectRoot, 'dist');
// Inputs that are wrong, for the actions that would begin without any.
const env = {
  PATH: process.env.PATH,
  INPUT_IMAGE: '127.0.0.1:1/none',
  INPUT_TAG: '../',
  INPUT_SCHEME: 'none',
  INPUT_SERVER: 'none',
};

function milliseconds(args: readonly string[]): number {
  const started = performance.now();
  spawnSync(process.execPath, args, { env, stdio: 'ignore' });
  return performance.now() - started;
}

/** The quickest of several: other work on the machine only makes things slower. */
const quickest = (values: readonly number[]) => Math.min(...values);

const rows = readdirSync(dist)
  .filter((name) => !name.includes('.') && name !== 'bundle')
  .map((name) => {
    const bundle = path.join(dist, name, 'index.js');
    const pairs = Array.from({ length: ROUNDS }, () => [milliseconds(['-e', '0']), milliseconds([bundle])] as const);
    const [bare, own] = [quickest(pairs.map(([one]) => one)), quickest(pairs.map(([, other]) => other))];
    return { name, bare, own, over: own - bare };
  });

console.log('| action | bare node, ms | bundle, ms | over, ms |\n| --- | --- | --- | --- |');
for (const { name, bare, own, over } of rows) {
  console.log(`| ${name} | ${bare.toFixed(0)} | ${own.toFixed(0)} | ${over.toFixed(0)} |`);
}
const slow = rows.filter(({ over }) => over > BUDGET).map(({ name }) => name);
console.log(slow.length === 0 ? `All within ${BUDGET} ms.` : `Over ${BUDGET} ms: ${slow.join(', ')}`);
