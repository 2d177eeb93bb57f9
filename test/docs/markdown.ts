/** A fenced block of a page. */
export interface Block {
  /** What follows the opening fence, as in `bash test`. */
  readonly info: string;
  readonly text: string;
  /** The lines up to the next block, without blank ones. */
  readonly after: readonly string[];
}

/** The fenced blocks of a Markdown text, in their order. */
export function blocksOf(markdown: string): Block[] {
  const [, ...parts] = markdown.split(/^```(?=\S)/m);
  return parts.map((part) => {
    const [, info = '', text = '', after = ''] = /^(.*)\n([\s\S]*?)^```$([\s\S]*)$/m.exec(part) ?? [];
    return { info, text, after: after.split('\n').filter((line) => line.trim() !== '') };
  });
}

/** The destinations of the links that lead to a file of the repository, without their fragments. */
export function linksOf(markdown: string): string[] {
  const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => target.split('#')[0] ?? []);
  return targets.filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** The first line of what a page says is printed that is not printed; `…` stands for anything in a line. */
export function missingLine(expected: string, printed: string): string | undefined {
  return expected
    .split('\n')
    .filter((line) => line !== '')
    .find((line) => {
      const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      return !new RegExp(parts.join('.*')).test(printed);
    });
}
