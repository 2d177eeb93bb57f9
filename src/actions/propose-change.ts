import { tmpdir } from 'node:os';
import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import {
  candidateSchema,
  formatCandidate,
  formatRepository,
  repositorySchema,
  sameRepository,
} from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import { readHead } from '../ledger/head.js';
import { promotedLabelSchema } from '../ledger/names.js';
import { endOf } from '../promotion/reconcile.js';
import { openChangeBranch } from '../proposal/change-branch.js';
import { type Edit, type Place, parsePattern, parseYamlPath } from '../proposal/edits.js';
import { createForge, type Forge } from '../proposal/forge.js';
import { createGerrit, type Gerrit } from '../proposal/gerrit.js';
import { proposeChange } from '../proposal/propose.js';
import type { Proposed } from '../proposal/text.js';
import { defineAction, type Runner } from '../runner/action.js';
import {
  choice,
  flag,
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  renamed,
  required,
  requiredList,
  secret,
  urlSchema,
  withDefault,
} from '../runner/inputs.js';
import { fillTemplate, placeholders, templateSchema } from '../store/extra-vars.js';
import { gitAddressSchema, isLoopback } from '../store/git/address.js';
import { ledgerOf } from '../store/reader.js';
import { requireSigned } from '../upkeep/verify-signed.js';
import { candidateValues } from './shared/candidate-values.js';
import { smallApis } from './shared/http.js';
import { registryInputs, withRegistry } from './shared/registry-inputs.js';
import { readableSchema, readerInputs, withReader } from './shared/store-inputs.js';
import { readAuthority, verifyInputs } from './shared/verify-inputs.js';

/** A branch name of plain characters, by the rules of git-check-ref-format(1). */
const branchSchema = v.pipe(
  lineSchema,
  v.regex(
    /^(?!.*(?:\.\.|\.lock(?:\/|$)|\.(?:\/|$)))[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/,
    (issue) => `${JSON.stringify(issue.received.slice(0, 80))} is not a branch name`,
  ),
);

/** `name <address>`, in git's form. */
const committerSchema = v.pipe(
  lineSchema,
  v.regex(
    /^[^<>]+ <[^<>\s]+@[^<>\s]+>$/,
    (issue) => `${JSON.stringify(issue.received.slice(0, 80))} is not \`name <address>\``,
  ),
);

/** A path below the repository's root that leads nowhere else. */
const fileSchema = v.pipe(
  lineSchema,
  v.check(
    (file) => file.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !/^\.git$/i.test(part)),
    'is not a plain relative path',
  ),
);

/** `owner/name` on this forge, or an address. */
const targetSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): URL => {
    const text = dataset.value.replace(/\.git$/, '');
    const forge = process.env.GITHUB_SERVER_URL;
    const address = /^[\w.-]+\/[\w.-]+$/.test(text) && forge ? `${forge}/${text}` : text;
    const parsed = v.safeParse(gitAddressSchema, `git+${address}`);
    if (
      parsed.success &&
      parsed.output.repository !== undefined &&
      !/[@#]/.test(address.replace(/^ssh:\/\/[^/]*/, ''))
    ) {
      return parsed.output.repository;
    }
    addIssue({ message: 'is neither owner/name nor https://host/owner/name nor ssh://user@host/name' });
    return NEVER;
  }),
);

const { 'plain-http': plainHttp, 'token-hosts': tokenHosts, 'ca-file': caFile } = registryInputs;

const inputs = {
  reference: optional(
    'What is promoted, as `image:tag@digest`; empty: what `promoted-label` at `url` names. Without `url` the last run wins, because nothing says which of two runs is newer',
    candidateSchema,
  ),
  url: optional(
    'The store that the label is in: the `https://` URL of its directory, or an address as for `server` of evaluate-and-promote, such as `git`. Then the change says why the image was promoted',
    readableSchema,
  ),
  'promoted-label': renamed(withDefault('The promoted label', 'current-ceph', promotedLabelSchema), 'label'),
  image: list('The only repositories whose images are accepted, one per line; empty: any', repositorySchema),
  ...readerInputs,
  ...verifyInputs,
  'plain-http': plainHttp,
  'token-hosts': tokenHosts,
  repository: required(
    'The repository to change: `owner/name` on this forge, `https://host/owner/name`, or `ssh://user@host/name`',
    targetSchema,
  ),
  committer: withDefault(
    "The committer of the change's commits. Gerrit accepts only an address of the account that pushes. A commit by anybody else on the branch is not overwritten",
    'ceph-promotion-actions <ceph-promotion-actions@localhost>',
    committerSchema,
  ),
  base: withDefault('The branch that the change goes into', 'main', branchSchema),
  branch: optional(
    'The branch that carries the change, on Gerrit its topic; empty: `ceph-promotion/<promoted-label>`',
    branchSchema,
  ),
  file: requiredList('The files to edit, one per line: one for all edits, or one for each', fileSchema),
  'yaml-path': list(
    'What to edit in YAML, one per line: keys and indexes, as in `spec.images[0].tag` or `data["ceph.conf"]`. Comments, order and style are kept',
    lineSchema,
  ),
  pattern: list(
    'What to edit in any other file, instead of `yaml-path`: regular expressions, one per line, with one group; what it matches is replaced',
    lineSchema,
  ),
  matches: choice('How often a pattern may match: exactly once, or any number of times.', ['one', 'all'], 'one'),
  value: requiredList(
    `The new values, one per line: one for all edits, or one for each, where ${placeholders.map((name) => `\`{${name}}\``).join(', ')} stand for what is promoted`,
    templateSchema,
  ),
  provider: choice('Where the change is opened.', ['github', 'gitea', 'gerrit'], 'github'),
  token: secret(
    'A token that may write contents and pull requests there; it is sent only to the host of `repository` and to `api-url`. With `ssh://` the branch is pushed with the SSH key',
  ),
  username: optional(
    'With provider gerrit and a token: the account whose HTTP password is the token',
    v.pipe(lineSchema, v.regex(/^[^:]+$/, 'has a colon in it')),
  ),
  'api-url': optional(
    "The forge's API; empty: `https://api.github.com`, `/api/v3` of another GitHub, `/api/v1` of a Gitea, the host of a Gerrit",
    urlSchema,
  ),
  'ca-file': caFile,
  'dry-run': flag('Only show what would be done; always on in a run for a pull request', 'false'),
};

type Settings = ParsedInputs<typeof inputs>;

export const action = defineAction({
  description: 'Proposes a promoted image to a repository that pins it: edits files, and keeps one change open',
  needs:
    'git on the runner, and a token (or for Gerrit a key) that may push a branch and open changes in `repository`. If it fails, what is promoted stays promoted.',
  inputs,
  outputs: {
    url: 'The change; empty if there is none, or if Gerrit does not show it',
    state: '`open`, `closed` or `merged`: the state of the change at `url`; empty without one',
    changed: '`true` if this run opened, updated or closed the change',
  },
  async run(settings, { log, context }) {
    const http = await smallApis(log, settings);
    const edits = editsOf(settings);
    const proposed = await readProposed(settings, http, { log, context });
    const values = {
      ...candidateValues({ ...proposed.candidate, companions: proposed.record?.companions ?? [] }),
      'cephadm-repository': '',
      'openstack-repository': '',
    };
    const { repository, base, provider } = settings;
    const branch = settings.branch ?? `ceph-promotion/${proposed.label}`;
    if (branch === base) throw new UserError('input branch: is the base itself');
    const done = await proposeChange({
      proposed,
      edits: edits.map(({ template, ...edit }) => ({ ...edit, value: checkValue(fillTemplate(template, values)) })),
      repository: repository.href,
      base,
      committer: settings.committer,
      openBranch: () =>
        openChangeBranch({
          remote: {
            url: repository,
            token: settings.token,
            user: settings.username,
            privateKey: settings['ssh-private-key'],
            knownHosts: settings['ssh-known-hosts'],
            agentSocket: process.env.SSH_AUTH_SOCK,
            caFile: settings['ca-file'],
            hint: 'change-repository',
          },
          committer: settings.committer,
          base,
          branch,
          where: repository.href,
          temporary: tmpdir(),
          environment: process.env,
        }),
      forge: provider === 'gerrit' ? gerritOf(settings, branch, http, log) : forgeOf(settings, provider, branch, http),
      dryRun: settings['dry-run'] || context.event.startsWith('pull_request'),
      log,
    });
    const line = `\`${formatCandidate(proposed.candidate)}\` in ${repository.href}: ${done.line}`;
    return {
      outputs: { url: done.change?.url ?? '', state: done.change?.state ?? '', changed: String(done.changed) },
      summary: `${line}${done.change === undefined ? '' : `\n\n${done.change.url}`}`,
    };
  },
});

/** The edits, with the template of each value. A single file or value is used for all edits. */
function editsOf({ file, 'yaml-path': paths, pattern: patterns, matches, value }: Settings) {
  if (paths.length > 0 === patterns.length > 0) {
    throw new UserError('inputs yaml-path and pattern: set one of the two');
  }
  const places =
    paths.length > 0 ? paths.map(yamlPlace) : patterns.map((text) => patternPlace(text, matches === 'all'));
  return places.map((place, index): Omit<Edit, 'value'> & { readonly template: string } => ({
    place,
    file: pick(file, index, places.length, 'file'),
    template: pick(value, index, places.length, 'value'),
  }));
}

function pick(list: readonly string[], index: number, count: number, name: string): string {
  const picked = list.length === 1 ? list[0] : list[index];
  if (picked !== undefined && (list.length === 1 || list.length === count)) return picked;
  throw new UserError(
    `input ${name}: has ${list.length} lines, but there are ${count} edits: write one line, or one for each`,
  );
}

function yamlPlace(text: string): Place {
  const path = parseYamlPath(text);
  if (path !== undefined) return { kind: 'yaml-path', path };
  throw new UserError(`input yaml-path: ${JSON.stringify(text)} is not a path such as spec.images[0].tag`);
}

function patternPlace(text: string, all: boolean): Place {
  const pattern = parsePattern(text);
  if ('problem' in pattern) throw new UserError(`input pattern: ${JSON.stringify(text)} ${pattern.problem}`);
  return { kind: 'pattern', pattern, all };
}

function checkValue(value: string): string {
  if (v.is(lineSchema, value)) return value;
  throw new UserError('input value: gives an empty value, or one with more than one line');
}

async function readProposed(
  settings: Settings,
  http: Http,
  { log, context }: Pick<Runner, 'log' | 'context'>,
): Promise<Proposed> {
  const { reference, url, 'promoted-label': label, image: images } = settings;
  const accepted = (proposed: Proposed): Proposed => {
    const { repository } = proposed.candidate;
    if (images.length === 0 || images.some((one) => sameRepository(one, repository))) return proposed;
    throw new UserError(`${formatRepository(repository)} is not one of the accepted repositories`, { hint: 'image' });
  };
  const authority = await readAuthority(settings, context.workspace);
  if (url === undefined) {
    if (authority !== undefined)
      throw new UserError('input verify: needs url, whose ledger says which record is signed');
    if (reference === undefined) throw new UserError('input reference: not set, and url is not set either');
    return accepted({ candidate: reference, label, record: undefined, position: undefined, store: undefined });
  }
  const found = await withReader(url, settings, http, log, async (store) => {
    const ledger = ledgerOf(store, label);
    const head = await readHead(ledger, { label });
    if (head === undefined) return undefined;
    const found = { record: head.record, position: await endOf(ledger, head) };
    if (authority === undefined) return found;
    const { digest } = head.record.candidate;
    const by = await withRegistry(settings, log, {}, (registry) =>
      requireSigned(store, registry, label, digest, authority),
    );
    log.info(`${digest}: its promotion is signed by ${by}`);
    return found;
  });
  if (found === undefined) throw new UserError(`there is no ledger of ${label}`, { hint: 'url' });
  const { candidate } = found.record;
  if (reference !== undefined && formatCandidate(reference) !== formatCandidate(candidate)) {
    throw new UserError(`${formatCandidate(reference)} is not the promoted image: ${formatCandidate(candidate)}`, {
      hint: 'reference',
    });
  }
  return accepted({ candidate, label, ...found, store: url instanceof URL ? url : undefined });
}

function forgeOf(
  { repository, token, base, 'api-url': api }: Settings,
  provider: 'github' | 'gitea',
  branch: string,
  http: Http,
): Forge {
  if (token === undefined) throw new UserError(`input token: required with provider ${provider}`);
  const [owner = '', name = '', ...more] = repository.pathname.slice(1).split('/');
  if (owner === '' || name === '' || more.length > 0) throw new UserError('input repository: is not owner/name');
  const used = checkApi(api) ?? apiOf(provider, webOf(repository));
  return createForge({ http, provider, api: used, token, owner, name, base, branch });
}

function gerritOf(
  { repository, token, username, base, 'api-url': api }: Settings,
  topic: string,
  http: Http,
  log: Runner['log'],
): Gerrit {
  if ((token === undefined) !== (username === undefined)) {
    throw new UserError('inputs username and token: provider gerrit takes both or neither');
  }
  const login = token === undefined || username === undefined ? undefined : { user: username, password: token };
  const web = checkApi(api) ?? webOf(repository);
  return createGerrit({ http, log, web, login, project: projectOf(repository, web), base, topic });
}

/** Gerrit's address may have a path of its own, and git's address an `a/` before the name. */
function projectOf(repository: URL, web: URL): string {
  const path = repository.pathname.replace(/^\/+/, '');
  if (repository.protocol === 'ssh:') return path;
  const prefix = web.pathname.replace(/^\/+|\/+$/g, '');
  const name = prefix !== '' && path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : path;
  return name.replace(/^a\//, '');
}

function checkApi(api: URL | undefined): URL | undefined {
  if (api !== undefined && api.protocol !== 'https:' && !isLoopback(api.hostname)) {
    throw new UserError('input api-url: a token is sent over https only, or on loopback');
  }
  return api;
}

function webOf(repository: URL): URL {
  return repository.protocol === 'ssh:' ? new URL(`https://${repository.hostname}`) : new URL(repository.origin);
}

function apiOf(provider: 'github' | 'gitea', web: URL): URL {
  if (provider === 'gitea') return new URL('/api/v1', web);
  return web.hostname === 'github.com' ? new URL('https://api.github.com') : new URL('/api/v3', web);
}
