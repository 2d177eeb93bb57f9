import { oneLine, UserError } from '../../base/errors.js';
import { type GroupTexts, matchWithin } from '../../base/match-within.js';
import { type Arch, parseNumbers, type Reading, type Scheme } from '../scheme.js';

/** The groups that a pattern may name. Any other is an error, since it would have no effect. */
const GROUPS = ['version', 'build', 'flavor', 'arch'] as const;
type Group = (typeof GROUPS)[number];

/** In milliseconds. A pattern that takes longer for a whole listing backtracks badly. */
const LIMIT_MS = 1000;

/** Tags that expose backtracking: repetitions that end in something that few patterns expect. */
const PROBES: readonly string[] = ['0', '1.', '0-', 'a', 'a0', 'A', '_', '.', '-', 'a-', '1_', 'v1.', '1-a', 'x86_64-']
  .flatMap((piece) => ['', '1.2.3', 'v1.2.3-'].map((start) => start + piece.repeat(120)))
  .map((text) => `${text.slice(0, 100)}~`);

/**
 * Creates a scheme from the user's regular expression, which must match a whole tag. The numbers of the group `version`
 * order the tags, then those of `build`. `flavor` and `arch` are compared with the inputs of those names. A listing may
 * take `limitMs`.
 *
 * @throws UserError for a pattern that is not a regular expression, has no group version, has unknown groups, or
 * backtracks badly.
 */
export function patternScheme(pattern: string, limitMs = LIMIT_MS): Scheme {
  const fail = (problem: string) =>
    new UserError(`the pattern ${JSON.stringify(oneLine(pattern, 200))} ${problem}`, { hint: 'pattern' });
  const groups = groupsIn(pattern, fail);
  if (!groups.includes('version')) throw fail('has no group (?<version>…): nothing says which tag is newer');
  const stray = groups.find((name) => !GROUPS.some((known) => known === name));
  if (stray !== undefined) throw fail(`has a group ${stray}; it may have ${GROUPS.join(', ')}`);
  const matchAll = (tags: readonly string[]) => {
    try {
      return matchWithin(limitMs, `^(?:${pattern})$`, groups, tags);
    } catch (error) {
      throw fail(`takes too long on some tags: it backtracks badly (${oneLine(String(error), 80)})`);
    }
  };
  const [prefix = ''] = /^(?:[\w-]|\\[.-])*/.exec(pattern) ?? [];
  matchAll(['', prefix.replaceAll('\\', '')].flatMap((start) => PROBES.map((probe) => start + probe)));
  const indexes = new Map(groups.map((name, index) => [name, index]));
  const readingFrom = (match: GroupTexts | undefined): Reading =>
    match === undefined ? { kind: 'other' } : readingOf((name) => match[indexes.get(name) ?? -1]);
  return {
    name: 'pattern',
    isTotal: false,
    read: (tag) => readingFrom(matchAll([tag])[0]),
    readAll: (tags) => matchAll(tags).map(readingFrom),
  };
}

/** The names of a pattern's groups, in order. */
function groupsIn(pattern: string, fail: (problem: string) => UserError): readonly string[] {
  try {
    // Group names are only visible in a match, so the added alternative matches the empty text.
    return Object.keys(new RegExp(`^(?:${pattern})$|^`).exec('')?.groups ?? {});
  } catch (error) {
    throw fail(`is not a regular expression: ${oneLine(error instanceof Error ? error.message : String(error), 200)}`);
  }
}

function readingOf(group: (name: Group) => string | undefined): Reading {
  const version = group('version') ?? '';
  const build = group('build');
  const numbers = parseNumbers(version);
  const arch = group('arch');
  for (const text of [version, build ?? '']) {
    if (parseNumbers(text) === undefined) {
      const why = `its ${text === version ? 'version' : 'build'} ${JSON.stringify(oneLine(text, 60))} cannot be ordered`;
      return { kind: 'near-miss', why, version: digitsIn(version) };
    }
  }
  const named = arch === undefined ? undefined : ARCHITECTURES[arch];
  if (arch !== undefined && arch !== '' && named === undefined) {
    const why = `its architecture ${JSON.stringify(oneLine(arch, 60))} is neither x86_64 nor aarch64`;
    return { kind: 'near-miss', why, version: digitsIn(version) };
  }
  return {
    kind: 'stable',
    build: {
      version: numbers ?? [],
      flavor: group('flavor') || undefined,
      distro: undefined,
      arch: named,
      build: build || undefined,
    },
  };
}

const ARCHITECTURES: Readonly<Record<string, Arch>> = {
  x86_64: 'x86_64',
  amd64: 'x86_64',
  aarch64: 'aarch64',
  arm64: 'aarch64',
};

function digitsIn(text: string): bigint[] {
  return (text.match(/\d+/g) ?? []).map(BigInt);
}
