import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { HINTS, wordHint } from '../../src/actions/shared/hints.js';
import type { Hint } from '../../src/base/errors.js';
import { projectRoot } from '../sandbox/project.js';

const SOURCE = path.join(projectRoot, 'src');
const ACTIONS = readdirSync(path.join(SOURCE, 'actions'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => path.basename(file, '.ts'));

const INPUTS = new Map(
  ACTIONS.map((name) => {
    const manifest: { inputs: Record<string, unknown> } = parse(
      readFileSync(path.join(projectRoot, 'actions', name, 'action.yml'), 'utf8'),
    );
    return [name, manifest.inputs] as const;
  }),
);

/** All files that a file of src imports, at the start or later, itself included. */
function reachedFrom(file: string, reached = new Set<string>()): Set<string> {
  if (reached.has(file)) return reached;
  reached.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, specifier = ''] of text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g)) {
    reachedFrom(path.resolve(path.dirname(file), `${specifier}.ts`), reached);
  }
  return reached;
}

/** The places in the text of a file that can raise a hint. */
const RAISING = [
  // `hint: 'image'`, `hint: isTarget ? 'targets' : 'image'`
  /\b(?:hint|withoutTls)\b[^;,{}]*/g,
  // A table: `Readonly<Record<Reason, Hint>> = { 'no-tags': 'image' }`
  /\bHint>> = \{[^}]*\}/g,
  /\bwordHint\('[^']*'/g,
  // The last argument: `refuse('there is no candidate to evaluate', 'reference')`
  /\b(?:refuse|fail|notSet)\((?:[^()'`]|'[^']*'|`[^`]*`|\([^()]*\))*,\s*'[^']*',?\s*\)/g,
];

/** The hints that the text of a file raises. */
function hintsIn(file: string): Hint[] {
  const text = readFileSync(file, 'utf8');
  const places = RAISING.flatMap((pattern) => text.match(pattern) ?? []);
  const quoted = places.flatMap((place) => [...place.matchAll(/'([a-z-]+)'/g)].map(([, name]) => name));
  return HINTS.filter((hint) => quoted.includes(hint));
}

/** The inputs that a sentence names, and the action if it is another one. */
function namedIn(words: string): { readonly input: string; readonly owner: string | undefined }[] {
  const places = words.matchAll(
    /the (?:input ([a-z-]+)|inputs ([a-z-]+(?:, [a-z-]+)* and [a-z-]+))(?: of ([a-z-]+))?/g,
  );
  return [...places].flatMap(([, one, several = '', owner]) =>
    (one ?? several).split(/, | and /).map((input) => ({ input, owner })),
  );
}

test('one input and several inputs are named', () => {
  expect(wordHint('log-in-to-target', INPUTS.get('evaluate-and-promote') ?? {})).toBe(
    'set the inputs target-username and target-password',
  );
  expect(namedIn('set the inputs a, b and c of d, or the input e')).toEqual([
    { input: 'a', owner: 'd' },
    { input: 'b', owner: 'd' },
    { input: 'c', owner: 'd' },
    { input: 'e', owner: undefined },
  ]);
});

/** Every file of a folder and its folders. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((file) =>
    file.endsWith('.ts') ? [path.join(folder, file)] : [],
  );

test('no message below the actions names an input: only hints do', () => {
  const names = new Set([...INPUTS.values()].flatMap((inputs) => Object.keys(inputs)));
  const below = filesBelow(SOURCE).filter((file) => !/^(?:actions|runner)\//.test(path.relative(SOURCE, file)));
  const naming = below.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(?:\/?\*|\/\/)/.test(line))
      .flatMap((line) => [...line.matchAll(/\binputs? ([a-z][a-z-]*)/g)])
      .filter(([, name = '']) => names.has(name))
      .map(([text]) => `${path.relative(SOURCE, file)}: ${text}`),
  );
  expect(below.length).toBeGreaterThan(100);
  expect(naming).toEqual([]);
});

test('each hint is raised somewhere', () => {
  const raising = filesBelow(SOURCE).filter((file) => !/(?:base\/errors|shared\/hints)\.ts$/.test(file));
  const raised = new Set(raising.flatMap(hintsIn));
  expect(HINTS.filter((hint) => !raised.has(hint))).toEqual([]);
});

describe.each(ACTIONS)('%s', (name) => {
  const inputs = INPUTS.get(name) ?? {};

  // More than the action can raise: an input that is not there is wrong in any sentence.
  test.each(HINTS)('words %s with inputs that exist', (hint) => {
    const words = wordHint(hint, inputs);
    expect(words).not.toMatch(/(?<![{$])\{/);
    for (const { input, owner = name } of namedIn(words)) {
      expect(Object.keys(INPUTS.get(owner) ?? {})).toContain(input);
    }
  });

  test('never names the input of another action if it has that input itself', () => {
    const raised = new Set([...reachedFrom(path.join(SOURCE, 'actions', `${name}.ts`))].flatMap(hintsIn));
    for (const hint of raised) {
      const foreign = namedIn(wordHint(hint, inputs)).filter(({ owner }) => owner !== undefined);
      expect(foreign.filter(({ input }) => input in inputs)).toEqual([]);
    }
  });
});
