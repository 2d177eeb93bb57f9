/** HTML and XML as tagged templates. Values are escaped as text, unless a template made them. */

const MADE_HERE = Symbol('markup');

export interface Markup {
  readonly [MADE_HERE]: string;
}

export type Content = string | number | Markup | undefined | readonly Content[];

export function markup(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return { [MADE_HERE]: String.raw({ raw: strings }, ...values.map(render)) };
}

/** The text of a document. */
export function render(content: Content): string {
  if (content === undefined) return '';
  if (typeof content === 'string') return escapeText(content);
  if (typeof content === 'number') return String(content);
  return MADE_HERE in content ? content[MADE_HERE] : content.map(render).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for a document or for an attribute in quotes; characters that XML 1.0 does not allow become U+FFFD. */
function escapeText(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this replaces
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff\p{Surrogate}]/gu, '\ufffd')
      .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
  );
}
