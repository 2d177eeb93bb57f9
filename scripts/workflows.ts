import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import { parse } from 'yaml';
import { ROOT } from './actions.js';

/**
 * Writes the branches of .github/branches.yml into the workflows. The template stands in the workflow, as comments:
 *
 *     # each branch:
 *     #   - <branch>
 *     # becomes:
 *     - master
 *     # end
 *
 * `# each branch with nightly:` leaves out the branches without that key. ``# each branch, below `key: |`:`` writes the
 * lines into that text, where comments cannot stand. With `--check` it writes nothing and fails where a workflow is
 * not what it would write.
 */

const branchesSchema = v.record(v.string(), v.record(v.string(), v.string()));
const WORKFLOWS = path.join(ROOT, '.github/workflows');

/** The keys that a template may use and their values, by branch. Takes the text of .github/branches.yml. */
export function parseBranches(text: string): Readonly<Record<string, Readonly<Record<string, string>>>> {
  return v.parse(branchesSchema, parse(text));
}

/** `text` with the part below each template replaced. Throws where a template uses a key that a branch does not have. */
export function writeBranches(text: string, branches: ReturnType<typeof parseBranches>): string {
  const region =
    /^( *)# each branch(?: with (\S+))?(?:, below `(.+)`)?:\n((?:\1#(?: {3}.*)?\n)+)\1# becomes:\n[\s\S]*?^\1# end\n/gm;
  return text.replace(region, (whole: string, indent: string, key?: string, above?: string, template = '') => {
    const margin = above === undefined ? indent : `${indent}  `;
    const lines = template.replaceAll(new RegExp(`^${indent}#(?: {3})?`, 'gm'), margin).replaceAll(/^ +$/gm, '');
    const written = Object.entries(branches)
      .filter(([, values]) => key === undefined || values[key] !== undefined)
      .map(([branch, values]) => {
        const known = new Map(Object.entries({ ...values, branch, BRANCH: branch.toUpperCase() }));
        return lines.replaceAll(/<([\w-]+)>/g, (_: string, name: string) => {
          const value = known.get(name);
          if (value === undefined) throw new Error(`.github/branches.yml: ${branch} has no key ${name}`);
          return value;
        });
      });
    const head = whole.slice(0, whole.indexOf(`${indent}# becomes:\n`));
    const opening = above === undefined ? '' : `${indent}${above}\n`;
    return `${head}${indent}# becomes:\n${opening}${written.join('')}${indent}# end\n`;
  });
}

function main(check: boolean): void {
  const branches = parseBranches(readFileSync(path.join(ROOT, '.github/branches.yml'), 'utf8'));
  const stale = readdirSync(WORKFLOWS).flatMap((name) => {
    const file = path.join(WORKFLOWS, name);
    const before = readFileSync(file, 'utf8');
    const after = writeBranches(before, branches);
    return before === after ? [] : [{ file, after }];
  });
  if (check && stale.length > 0) {
    const files = stale.map(({ file }) => path.relative(ROOT, file)).join(', ');
    console.error(`not up to date, run \`npm run build\`: ${files}`);
    process.exitCode = 1;
    return;
  }
  for (const { file, after } of stale) writeFileSync(file, after);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.includes('--check'));
