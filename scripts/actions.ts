import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Action } from '../src/runner/action.js';

/** The checkout. Compiled scripts run from build/scripts. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** The actions' names. Each file right below src/actions is an action, so there is no list to edit. */
export function actionNames(): string[] {
  return readdirSync(path.join(ROOT, 'src/actions'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.basename(file, '.ts'))
    .sort();
}

export async function loadAction(name: string): Promise<Action> {
  const module: { action: Action } = await import(
    pathToFileURL(path.join(ROOT, 'build/src/actions', `${name}.js`)).href
  );
  return module.action;
}
