/** How many names are offered. */
const OFFERED = 3;

/**
 * The existing names that are most like one that does not exist: those that share its longest beginning, of similar
 * length first. Empty if none begins like it.
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
