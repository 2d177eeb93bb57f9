import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { parse } from 'yaml';
import { ROOT } from './actions.js';

/**
 * The workflows, with the branches of .github/branches.yml written into them. The template is in the workflow, as
 * comments:
 *
 *     # each branch:
 *     #   - <branch>
 *     # becomes:
 *     - master
 *     # end
 *
 * `# each branch with nightly:` leaves out the branches without that key. ``# each branch, below `key: |`:`` writes the
 * lines into that text, which cannot have comments.
 */

const branchesSchema = v.record(v.string(), v.record(v.string(), v.string()));
const WORKFLOWS = path.join(ROOT, '.github/workflows');

/** The keys that a template may use and their values, by branch. Takes the text of .github/branches.yml. */
export function parseBranches(text: string): Readonly<Record<string, Readonly<Record<string, string>>>> {
  return v.parse(branchesSchema, parse(text));
}

/** `text` with the part below each template replaced. Throws if a template uses a key that a branch does not have. */
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

export function workflows(): ReadonlyMap<string, string> {
  const branches = parseBranches(readFileSync(path.join(ROOT, '.github/branches.yml'), 'utf8'));
  return new Map(
    readdirSync(WORKFLOWS).map((name) => [
      `.github/workflows/${name}`,
      writeBranches(readFileSync(path.join(WORKFLOWS, name), 'utf8'), branches),
    ]),
  );
}
