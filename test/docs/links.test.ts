import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { projectRoot } from '../sandbox/project.js';
import { anchorsOf, destinationsOf } from './markdown.js';

const below = ['.github', 'actions', 'docs', 'examples', 'roles'].flatMap((folder) =>
  readdirSync(path.join(projectRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
    path.join(folder, name),
  ),
);
const everyPage = [...readdirSync(projectRoot), ...below].filter((name) => name.endsWith('.md'));

/** Whether a link on a page leads to a file that exists and, with a fragment, to a heading of that file. */
function leads(page: string, destination: string): boolean {
  const [to = '', fragment] = destination.split('#');
  const file = to === '' ? path.join(projectRoot, page) : path.join(projectRoot, path.dirname(page), to);
  if (!existsSync(file)) return false;
  return fragment === undefined || anchorsOf(readFileSync(file, 'utf8')).includes(fragment);
}

test.each(everyPage)('the links of %s lead to files and headings', (page) => {
  const destinations = destinationsOf(readFileSync(path.join(projectRoot, page), 'utf8'));
  expect(destinations.filter((destination) => !leads(page, destination))).toEqual([]);
});

test('a fragment is made from a heading as forges do', () => {
  const page =
    '# Sign with a key\n\n## Let `sshd` log in: *how*?\n\n```bash\n# no heading\n```\n\n### [A link](x.md) to it\n';
  expect(anchorsOf(page)).toEqual(['sign-with-a-key', 'let-sshd-log-in-how', 'a-link-to-it']);
});
