import { readInputFile } from './input-file.js';

/**
 * Reads the criteria from an input that has either a file name or the criteria themselves as YAML or JSON. JSON from a
 * variable may be one line without blanks.
 */
export async function readCriteriaText(value: string, workspace: string): Promise<string> {
  const text = value.replace(/^\uFEFF/, '');
  return isMapping(text) ? text : readInputFile('criteria', text, workspace);
}

/** A mapping starts with a brace, or has a colon before a blank or a line's end. A file name has neither. */
function isMapping(text: string): boolean {
  return /^\s*\{/.test(text) || /:(?:\s|$)/.test(text);
}
