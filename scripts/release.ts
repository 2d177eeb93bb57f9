import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';

/**
 * The steps of .github/workflows/release.yml, in the working directory:
 *   check    the tag is of this version, on the default branch, and has a section in the changelog
 *   compare  the build output is the same as what is committed
 *   files    writes release/: notes, an SBOM of the bundle, checksums of the bundle
 *   publish  creates the release with the forge's API, and moves the major tag
 * If the run is not on a tag, `check` checks the version that a release would have now.
 */

class Failure extends Error {}

const packageSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    version: v.pipe(
      v.string(),
      v.regex(/^\d+\.\d+\.\d+$/, ({ received }) => `package.json: version ${received} is not of the form X.Y.Z`),
    ),
  }),
);

function readVersion(): string {
  const parsed = v.safeParse(packageSchema, readFileSync('package.json', 'utf8'));
  if (!parsed.success) throw new Failure(parsed.issues[0].message);
  return parsed.output.version;
}

const git = (...args: readonly string[]) => execFileSync('git', args, { encoding: 'utf8' });

/** The changelog's section for a version, or for `Unreleased`; empty if there is none. */
function readNotes(heading: string): string {
  const sections = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m);
  const section = sections.find((text) => text.split(/[\s]/, 1)[0] === heading) ?? '';
  return section.slice(section.indexOf('\n') + 1);
}

function check(): void {
  const version = readVersion();
  const { GITHUB_REF: ref = '', DEFAULT_BRANCH: branch = 'main' } = process.env;
  if (!ref.startsWith('refs/tags/')) {
    if (`${readNotes(version)}${readNotes('Unreleased')}`.trim() === '') {
      throw new Failure(`CHANGELOG.md: neither a section ${version} nor Unreleased`);
    }
    console.log(`not on a tag: would release v${version}`);
    return;
  }
  if (ref !== `refs/tags/v${version}`) {
    throw new Failure(`tag ${ref.slice('refs/tags/'.length)}: package.json has version ${version}`);
  }
  if (readNotes(version).trim() === '') throw new Failure(`CHANGELOG.md: no section ${version}`);
  try {
    git('merge-base', '--is-ancestor', 'HEAD', `origin/${branch}`);
  } catch {
    throw new Failure(`tag v${version}: is not on the default branch ${branch}`);
  }
}

function compare(): void {
  const changed = git('status', '--porcelain').trim();
  if (changed !== '') throw new Failure(`not committed as built: ${changed.replaceAll('\n', ',')}`);
  console.log('dist, schemas, actions and references are what the source says');
}

const named = v.looseObject({ 'bom-ref': v.string() });
const sbomSchema = v.looseObject({
  metadata: v.looseObject({ component: named }),
  components: v.array(named),
  dependencies: v.array(v.object({ ref: v.string(), dependsOn: v.optional(v.array(v.string()), []) })),
});
const flag = v.optional(v.boolean(), false);
const lockSchema = v.object({
  packages: v.record(
    v.string(),
    v.object({
      name: v.optional(v.string()),
      version: v.optional(v.string()),
      dev: flag,
      devOptional: flag,
      optional: flag,
      peer: flag,
    }),
  ),
});

/**
 * A CycloneDX SBOM of the packages in the bundle. npm's `--omit` would leave out a package that both an action and a
 * tool need. The fields that differ from run to run are left out, so that the file can be reproduced.
 */
function writeSbom(): string {
  const made = execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'], { encoding: 'utf8' });
  const { serialNumber: _, ...sbom } = v.parse(sbomSchema, JSON.parse(made));
  const { packages } = v.parse(lockSchema, JSON.parse(readFileSync('package-lock.json', 'utf8')));
  const bundled = new Set(
    Object.entries(packages)
      .filter(([, entry]) => !(entry.dev || entry.devOptional || entry.optional || entry.peer))
      .map(([file, { version }]) => `${file.replace(/^.*node_modules\//, '')}@${version}`),
  );
  const components = sbom.components.filter((component) => bundled.has(component['bom-ref']));
  const { timestamp: __, ...metadata } = sbom.metadata;
  const references = new Set([metadata.component, ...components].map((component) => component['bom-ref']));
  const dependencies = sbom.dependencies
    .filter(({ ref }) => references.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => references.has(one)) }));
  const component = { ...metadata.component, name: packages['']?.name };
  return JSON.stringify({ ...sbom, metadata: { ...metadata, component }, components, dependencies }, undefined, 2);
}

/** The checksums of the bundle's files, in the form of sha256sum. */
function writeChecksums(): string[] {
  return readdirSync('dist', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js'))
    .map((file) => path.posix.join('dist', file))
    .sort()
    .map((file) => `${createHash('sha256').update(readFileSync(file)).digest('hex')}  ${file}\n`);
}

function files(): void {
  mkdirSync('release', { recursive: true });
  const notes = readNotes(readVersion());
  writeFileSync('release/notes.md', notes.trim() === '' ? readNotes('Unreleased') : notes);
  const sbom = writeSbom();
  writeFileSync('release/sbom.cdx.json', `${sbom}\n`);
  const sums = writeChecksums();
  writeFileSync('release/SHA256SUMS', sums.join(''));
  console.log(`release/: ${sums.length} files of the bundle, ${sbom.split('"purl"').length - 1} packages`);
}

const ASSETS = ['sbom.cdx.json', 'SHA256SUMS'];

/** A variable that the forge sets for the step. */
function variable(name: string): string {
  const value = process.env[name];
  if (!value) throw new Failure(`${name} is not set`);
  return value;
}

async function publish(): Promise<void> {
  const tag = `v${readVersion()}`;
  const [server, repository, token] = ['GITHUB_SERVER_URL', 'GITHUB_REPOSITORY', 'TOKEN'].map(variable) as [
    string,
    string,
    string,
  ];
  if (server === 'https://github.com') {
    // GitHub's own program uploads the files before the release becomes immutable.
    const assets = ASSETS.map((name) => `release/${name}`);
    const args = [
      'release',
      'create',
      tag,
      '--verify-tag',
      '--title',
      tag,
      '--notes-file',
      'release/notes.md',
      ...assets,
    ];
    execFileSync('gh', args, { env: { ...process.env, GH_TOKEN: token }, stdio: 'inherit' });
  } else {
    await makeRelease(tag, `${variable('GITHUB_API_URL')}/repos/${repository}/releases`, token);
  }
  console.log(`made release ${tag}`);
  const [major = tag] = tag.split('.');
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
  // The token is in the environment, since other users can see arguments.
  execFileSync('git', ['push', '--force', `${server}/${repository}`, `HEAD:refs/tags/${major}`], {
    env: {
      ...process.env,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `http.${server}/.extraheader`,
      GIT_CONFIG_VALUE_0: `Authorization: basic ${basic}`,
    },
    stdio: 'inherit',
  });
  console.log(`moved ${major}`);
}

/** Creates a release with the API that Gitea and Forgejo share. */
async function makeRelease(tag: string, releases: string, token: string): Promise<void> {
  const headers = { authorization: `token ${token}` };
  const body = JSON.stringify({ tag_name: tag, name: tag, body: readFileSync('release/notes.md', 'utf8') });
  const answer = await call(releases, { body, headers: { ...headers, 'content-type': 'application/json' } });
  const { id } = v.parse(v.object({ id: v.number() }), JSON.parse(answer));
  for (const name of ASSETS) {
    const form = new FormData();
    form.append('attachment', new Blob([readFileSync(`release/${name}`)]), name);
    await call(`${releases}/${id}/assets?name=${name}`, { body: form, headers });
  }
}

async function call(url: string, request: RequestInit): Promise<string> {
  const answer = await fetch(url, { ...request, method: 'POST', redirect: 'error' });
  const text = await answer.text();
  if (!answer.ok) throw new Failure(`POST ${url}: answered ${answer.status}: ${text.slice(0, 300)}`);
  return text;
}

const STEPS: Readonly<Record<string, () => void | Promise<void>>> = { check, compare, files, publish };

async function main(step = ''): Promise<void> {
  const run = STEPS[step];
  if (run === undefined) throw new Failure(`usage: release.js ${Object.keys(STEPS).join('|')}`);
  await run();
}

try {
  await main(process.argv[2]);
} catch (error) {
  console.log(`::error::${error instanceof Failure ? error.message : error instanceof Error ? error.stack : error}`);
  process.exitCode = 1;
}
