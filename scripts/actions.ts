import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Action } from '../src/runner/action.js';

/** The checkout. Compiled scripts run from build/scripts. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Where tsc has put the entries; there is no list to edit. */
const ENTRIES = path.join(ROOT, 'build/src/actions');

/** The actions' names: an action is a module of its own under src/actions. */
export function actionNames(): string[] {
  return readdirSync(ENTRIES)
    .filter((file) => file.endsWith('.js'))
    .map((file) => path.basename(file, '.js'))
    .sort();
}

export async function loadAction(name: string): Promise<Action> {
  const module: { action: Action } = await import(pathToFileURL(path.join(ENTRIES, `${name}.js`)).href);
  return module.action;
}
