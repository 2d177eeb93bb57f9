import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { renderPage } from '../../src/monitoring/page.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { install } from '../sandbox/install.js';
import { projectRoot } from '../sandbox/project.js';
import { launchBrowser } from './browser.js';
import { busyHistory, DAY, NOW, nightlyJobs, SETTINGS } from './fixture.js';

/** Takes the pictures of docs/images: `npx tsc -p . && node build/test/monitoring/screenshots.js`. */

const histories = [busyHistory('master', 20), busyHistory('wallaby', 20, 7 * DAY, 2)];
const page = renderPage(summarize(histories, SETTINGS, NOW, nightlyJobs()));
const images = path.join(projectRoot, 'docs/images');

const { chromium } = await install(console.log);
const directory = await mkdtemp(path.join(tmpdir(), 'dashboard-'));
const browser = await launchBrowser(chromium);
try {
  const file = path.join(directory, 'index.html');
  await writeFile(file, page);
  await mkdir(images, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    const view = await browser.newPage({ viewport: { width: 1280, height: 980 }, colorScheme });
    await view.goto(pathToFileURL(file).href);
    await view.screenshot({ path: path.join(images, `dashboard-${colorScheme}.png`) });
  }
} finally {
  await browser.close();
  await rm(directory, { recursive: true });
}
