import { createContext, Script } from 'node:vm';

/** The texts of the named groups, in the requested order; undefined if the pattern does not match. */
export type GroupTexts = readonly (string | undefined)[];

const MATCH = new Script(`(() => {
  const pattern = new RegExp(source);
  return texts.map((text) => {
    const match = pattern.exec(text);
    return match === null ? undefined : groups.map((name) => match.groups[name]);
  });
})()`);

/**
 * Matches a regular expression against many texts. Throws if that takes longer than `limitMs` in total. A regular
 * expression cannot be stopped from outside, but a script of node:vm has a time limit.
 */
export function matchWithin(
  limitMs: number,
  source: string,
  groups: readonly string[],
  texts: readonly string[],
): readonly (GroupTexts | undefined)[] {
  const context = createContext({ source, groups, texts }, { codeGeneration: { strings: false } });
  return MATCH.runInContext(context, { timeout: limitMs }) as (GroupTexts | undefined)[];
}
