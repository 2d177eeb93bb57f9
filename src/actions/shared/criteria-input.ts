import { readInputFile } from './input-file.js';

/**
 * The text of the criteria, from an input that holds a file's name or the criteria themselves as YAML or JSON. JSON has
 * no blanks where a variable holds it in one line.
 */
export async function readCriteriaText(value: string, workspace: string): Promise<string> {
  const text = value.replace(/^\uFEFF/, '');
  return isMapping(text) ? text : readInputFile('criteria', text, workspace);
}

/** A mapping has a brace at its start, or a colon before a blank or a line's end; the name of a file has neither. */
function isMapping(text: string): boolean {
  return /^\s*\{/.test(text) || /:(?:\s|$)/.test(text);
}
