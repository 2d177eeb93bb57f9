import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { projectRoot } from '../sandbox/project.js';

/** The quotes on the page on troubleshooting are what a run says. */

const page = readFileSync(path.join(projectRoot, 'docs/how-to/troubleshoot.md'), 'utf8');

/** The lines of the code and of the workflows, without comments. */
const said = ['src', '.github/workflows']
  .flatMap((folder) =>
    readdirSync(path.join(projectRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(projectRoot, folder, name),
    ),
  )
  .filter((file) => /\.(?:ts|yml)$/.test(file))
  .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
  .filter((line) => !/^\s*(?:\/?\*|\/\/|#)/.test(line));

/** The quotes in the first column of the tables of what a run or its line says. */
function quotesIn(text: string): string[] {
  const tables = text.split('\n\n').filter((part) => /^\| the (?:run|line) says \|/.test(part));
  return tables.flatMap((table) =>
    table
      .split('\n')
      .slice(2)
      .flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, quote = '']) => quote)),
  );
}

/** Is there a line with this text? `…` is anything, and N a value. */
function isSaid(quote: string): boolean {
  const parts = quote.split(/\s*…\s*|\bN\b/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(parts.join('.*'));
  return said.some((line) => pattern.test(line));
}

test('the page quotes what there is to quote', () => {
  expect(quotesIn(page).length).toBeGreaterThan(25);
});

test.each([...new Set(quotesIn(page))])('a run says %j', (quote) => {
  expect(isSaid(quote)).toBe(true);
});

test.each(['the listing shrank by much', 'ledger record N is fine', 'would take … up from …'])(
  'no run says %j',
  (quote) => {
    expect(isSaid(quote)).toBe(false);
  },
);
