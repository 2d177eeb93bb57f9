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

/** The destinations of the links that lead to a file or a heading of the repository, as they stand in the text. */
export function destinationsOf(markdown: string): string[] {
  const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** The files that links lead to, without their fragments. */
export function linksOf(markdown: string): string[] {
  return destinationsOf(markdown).flatMap((target) => {
    const file = target.split('#')[0];
    return file === undefined || file === '' ? [] : [file];
  });
}

/** The fragments that forges give the headings of a page. */
export function anchorsOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```(?=\S)[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/^#+ +(.*)$/gm)].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
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
