/** `text` with the part between the markers of `name` replaced. Throws if the markers are missing. */
export function replacePart(text: string, name: string, part: string): string {
  const open = `<!-- ${name} -->\n`;
  const close = `\n<!-- /${name} -->`;
  const start = text.indexOf(open);
  const end = text.indexOf(close, start);
  if (start < 0 || end < 0) throw new Error(`no markers for ${name}`);
  return text.slice(0, start + open.length) + part + text.slice(end);
}
