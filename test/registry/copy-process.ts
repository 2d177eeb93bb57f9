import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { systemClock } from '../../src/base/clock.js';
import { digestSchema, repositorySchema, tagSchema } from '../../src/candidate/reference.js';
import { createRegistry } from '../../src/registry/create-registry.js';

/**
 * A process that makes one copy, or moves one tag, to be measured or killed:
 *     copy <repository> <digest> <repository> <tag>
 *     move <repository> <digest> <tag>
 * TARGET_LOGIN is the target's `username:password`. Its log is standard error; standard output is its peak of memory in
 * bytes.
 */

const [what = '', ...args] = process.argv.slice(2);
const [first, digest, ...rest] = args;
const source = v.parse(repositorySchema, first);
const target = what === 'copy' ? v.parse(repositorySchema, rest.shift()) : source;
const tag = v.parse(tagSchema, rest[0]);

const [username = '', password = ''] = (process.env.TARGET_LOGIN ?? '').split(':');
const say = (line: string) => console.error(line);
const registry = createRegistry({
  account: ({ registry: host }) => ({
    hint: 'log-in-to-target',
    ...(username !== '' && host === target.registry && { login: { username, password } }),
  }),
  plainHttp: [],
  clock: systemClock,
  log: { debug: () => undefined, info: say, warning: say, group: (_, phase) => phase() },
});
const named = v.parse(digestSchema, digest);
if (what === 'copy') {
  const copies = [{ source: { repository: source, digest: named }, target: { repository: target, tag } }];
  await registry.copy(copies, { referrers: false });
} else {
  await registry.repository(source).moveTag(tag, named);
}
await registry.close();
// Not resourceUsage, which on Linux counts what the process was before it became this program.
const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
console.log(Number(peak) * 1024);
// As the actions do: idle connections need not be taken apart one by one.
process.exit();
