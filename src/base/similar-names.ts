/** More suggestions than this would not help. */
const OFFERED = 3;

/**
 * Suggests existing names for one that does not exist: those that share the longest prefix with it come first, then
 * those of similar length. Empty if no name shares at least two characters.
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
