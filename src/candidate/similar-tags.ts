/** How many tags are offered. */
const OFFERED = 3;

/**
 * The existing tags that are most like a tag that does not exist: those that share its longest beginning, of similar
 * length first. Empty if none begins like it.
 */
export function similarTags(wanted: string, tags: readonly string[]): string[] {
  const likeness = (tag: string) => {
    let length = 0;
    while (length < wanted.length && tag[length] === wanted[length]) length += 1;
    return length;
  };
  return tags
    .map((tag) => ({ tag, shared: likeness(tag), apart: Math.abs(tag.length - wanted.length) }))
    .filter(({ shared }) => shared > 1)
    .sort((a, b) => b.shared - a.shared || a.apart - b.apart || (a.tag < b.tag ? -1 : 1))
    .slice(0, OFFERED)
    .map(({ tag }) => tag);
}
