import { readInputFile } from './input-file.js';

/**
 * Reads the criteria from an input that has either a file name or the criteria themselves as YAML or JSON. JSON from a
 * variable may be one line without blanks.
 */
export async function readCriteriaText(value: string, workspace: string): Promise<string> {
  const text = value.replace(/^\uFEFF/, '');
  return isYaml(text) ? text : readInputFile('criteria', text, workspace);
}

/** YAML starts with a brace or a bracket, or has a colon before a blank or a line's end. A file name has neither. */
function isYaml(text: string): boolean {
  return /^\s*[{[]/.test(text) || /:(?:\s|$)/.test(text);
}
