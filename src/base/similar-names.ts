/** More suggestions than this would not help. */
const OFFERED = 3;

/**
 * Suggests existing names for one that does not exist: those that share the longest prefix with it come first, and of
 * these the ones of similar length. A name that does not begin with the same two characters is not suggested.
 */
export function similarNames(wanted: string, names: readonly string[]): string[] {
  const likeness = (name: string) => {
    let length = 0;
    while (length < wanted.length && name[length] === wanted[length]) length += 1;
    return length;
  };
  return names
    .map((name) => ({ name, shared: likeness(name), apart: Math.abs(name.length - wanted.length) }))
    .filter(({ shared }) => shared > 1)
    .sort((a, b) => b.shared - a.shared || a.apart - b.apart || (a.name < b.name ? -1 : 1))
    .slice(0, OFFERED)
    .map(({ name }) => name);
}

/** The least share of equal letters in a misspelled name. */
const ALIKE = 0.75;

/**
 * The existing name that `wanted` was most likely meant to be. It differs in one place, where a part is missing,
 * superfluous or different. Undefined if no name is that similar.
 */
export function likelyName(wanted: string, names: readonly string[]): string | undefined {
  const alike = (name: string) => {
    const most = Math.min(wanted.length, name.length);
    let start = 0;
    while (start < most && name[start] === wanted[start]) start += 1;
    let end = 0;
    while (end < most - start && name.at(-1 - end) === wanted.at(-1 - end)) end += 1;
    return (start + end) / Math.max(wanted.length, name.length);
  };
  const [best] = names
    .map((name) => ({ name, share: alike(name) }))
    .filter(({ share }) => share >= ALIKE)
    .sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1));
  return best?.name;
}
