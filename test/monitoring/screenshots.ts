import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { renderFiles } from '../../src/monitoring/dashboard.js';
import { SCENES, sceneOf } from './scenes.js';

/** Screenshots of every scene: on a phone and on a desk, light and dark. */

const WIDTHS = [390, 1280] as const;
const SCHEMES = ['light', 'dark'] as const;

/** The names of all screenshots of a scene, as in `dashboard-broken-390-dark.png`. */
export function screenshotsOf(scene: string): string[] {
  return WIDTHS.flatMap((width) => SCHEMES.map((scheme) => nameOf(scene, width, scheme)));
}

function nameOf(scene: string, width: number, scheme: string): string {
  return `dashboard-${scene}-${width}-${scheme}.png`;
}

/** Takes all screenshots of these scenes into a directory. */
export async function takeScreenshots(
  browser: Browser,
  into: string,
  scenes: readonly string[] = Object.keys(SCENES),
): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'dashboard-'));
  try {
    await mkdir(into, { recursive: true });
    for (const scene of scenes) {
      const { model, histories } = sceneOf(scene);
      for (const [name, text] of renderFiles(model, histories)) await writeFile(path.join(directory, name), text);
      for (const colorScheme of SCHEMES) {
        for (const width of WIDTHS) {
          const view = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
          await view.goto(pathToFileURL(path.join(directory, 'index.html')).href);
          await view.screenshot({ path: path.join(into, nameOf(scene, width, colorScheme)) });
          await view.close();
        }
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}
