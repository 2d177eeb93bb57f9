import { errorLine, type Hint, hintOf, oneLine, ServiceError, UserError } from '../base/errors.js';
import { likelyName } from '../base/similar-names.js';
import { type Digest, formatCandidate, formatRepository, type Repository } from '../candidate/reference.js';
import { parseCriteria } from '../criteria/criteria-file.js';
import { reportedJobs } from '../criteria/reported-jobs.js';
import { checkWaivers } from '../criteria/warnings.js';
import type { Dlrn } from '../dlrn/client.js';
import { unreportedJobs } from '../evidence/dlrn.js';
import { readHead } from '../ledger/head.js';
import type { Label } from '../ledger/names.js';
import { movingTag } from '../ledger/names.js';
import type { LedgerRules } from '../ledger/reader.js';
import { describeStep, stepsTo } from '../ledger/steps.js';
import { look } from '../promotion/look.js';
import { endOf, wholeArtifacts } from '../promotion/reconcile.js';
import { findProofs } from '../proof/record-proof.js';
import type { Signer } from '../proof/signer.js';
import type { Registry } from '../registry/registry.js';
import { readCandidate } from '../store/consume.js';
import { ledgerOf, type StoreReader } from '../store/reader.js';
import type { Store } from '../store/store.js';
import { omitRefusedProofs } from './refused-proofs.js';

/** The settings to check. Anything undefined is not set. */
export interface Setup {
  readonly image: Repository;
  readonly registry: Registry;
  readonly targets: readonly Repository[];
  readonly hasTargetLogin: boolean;
  /** Logs in to the store, runs `work`, and logs out. */
  readonly withServer: (<T>(work: (server: Store) => Promise<T>) => Promise<T>) | undefined;
  /** The label that promotions move. */
  readonly label: Label;
  readonly candidateLabel: Label;
  readonly rules: LedgerRules;
  /** Opens the store as its readers do. */
  readonly withReader: (<T>(work: (store: StoreReader) => Promise<T>) => Promise<T>) | undefined;
  readonly dlrn: Dlrn | undefined;
  readonly hasDlrnLogin: boolean;
  /** Reads the criteria's text. */
  readonly criteria: (() => Promise<string>) | undefined;
  /** By workflow file: the problems with the inputs that it passes to our actions. */
  readonly workflows: ReadonlyMap<string, readonly string[]>;
  /** The jobs whose results a workflow passes to evaluate-and-promote in `needs`. */
  readonly neededJobs: readonly string[];
  /** True if evidence may come from Zuul, too, which is not asked. */
  readonly readsZuul: boolean;
  /** Reads the signing key and returns the signer; undefined if nothing is signed. */
  readonly readSigner: () => Signer | undefined;
  /** Unix seconds. */
  readonly now: number;
}

export interface Check {
  readonly what: string;
  /** `not asked`: it could not be checked. `warning`: it may be intended. */
  readonly state: 'ok' | 'warning' | 'not set' | 'not asked' | 'wrong';
  /** The finding, in one line. */
  readonly line: string;
  readonly hint?: Hint | undefined;
}

/** Checks everything that is set. Only reads. */
export async function checkSetup(setup: Setup): Promise<Check[]> {
  const { image, registry, dlrn } = setup;
  return [
    await check(`read ${formatRepository(image)}`, async () => {
      const { tags } = await registry.repository(image).listTags({ listing: 'auto' });
      return `${tags.length} tags`;
    }),
    ...(await checkTargets(setup)),
    ...(await checkServer(setup)),
    ...(await checkReader(setup)),
    ...(await checkDlrn(dlrn, setup.hasDlrnLogin)),
    ...(await checkCriteria(setup)),
    ...[...setup.workflows].map(([file, problems]): Check => {
      const what = `inputs in ${file}`;
      return problems.length === 0
        ? { what, state: 'ok', line: 'every action has the inputs that it is given' }
        : { what, state: 'wrong', line: problems.join('; ') };
    }),
    await checkSigning(setup),
  ];
}

/** Reads both labels as a consumer does: with the ledger and the candidate file. */
async function checkReader({ withReader, candidateLabel, label }: Setup): Promise<Check[]> {
  const what = (name: Label) => `read label ${name} as a consumer`;
  if (withReader === undefined) return [notSet('the labels, as a consumer reads them', 'url')];
  const read = (store: StoreReader, name: Label) =>
    check(what(name), async () => {
      const found = await readCandidate({ store, label: name, unpinnedRepository: undefined });
      return found === undefined
        ? `${store.where}: no label ${name} yet`
        : `${store.where}: ${name} is ${found.tag}@${found.digest}`;
    });
  try {
    return await withReader(async (store) => [await read(store, candidateLabel), await read(store, label)]);
  } catch (error) {
    return [wrong(what(candidateLabel), error), wrong(what(label), error)];
  }
}

/** Reads the key, or fetches a token. Nothing is signed: a keyless signature would be in a public log for ever. */
async function checkSigning({ readSigner }: Setup): Promise<Check> {
  const what = 'signing';
  try {
    const signer = readSigner();
    if (signer === undefined) return notSet(what, 'signing-key');
    await signer.ready();
    return { what, state: 'ok', line: `promotions are signed by ${signer.who}` };
  } catch (error) {
    return wrong(what, error);
  }
}

/** Checks the right to write to each target that already exists. */
async function checkTargets(setup: Setup): Promise<Check[]> {
  const { registry, targets, hasTargetLogin, label } = setup;
  if (targets.length === 0) return [notSet('targets', 'targets')];
  const checks: Check[] = [];
  for (const repository of targets) {
    const name = formatRepository(repository);
    const what = `write ${name}`;
    if (!hasTargetLogin) {
      checks.push(notSet(what, 'log-in-to-target'));
      continue;
    }
    let found: Digest | undefined;
    const asked = await check(what, async () => {
      const client = registry.repository(repository);
      found = (await client.resolve(movingTag(label)))?.digest;
      if (found === undefined) return '';
      const isSure = await client.checkPush();
      const { keeps } = await findProofs(registry, repository, found, label);
      return [
        isSure ? 'allowed' : 'not refused, but the registry does not say',
        `tag ${label} is ${found}`,
        ...(keeps ? [] : [`it ${KEEPS_NONE}`]),
      ].join('; ');
    });
    checks.push(
      asked.state === 'ok' && found === undefined
        ? { what, state: 'not asked', line: `no tag ${label} there yet; asking could create the repository` }
        : asked,
    );
  }
  return checks;
}

async function checkServer(setup: Setup): Promise<Check[]> {
  const { withServer, label } = setup;
  const ledger = `label ${label} and its ledger`;
  const what = 'the store, as a promotion opens it';
  if (withServer === undefined) {
    return [notSet(what, 'server'), { what: ledger, state: 'not set', line: 'it is in the store' }];
  }
  try {
    return await withServer(async (server) => [
      { what, state: 'ok', line: server.where },
      await check(ledger, () => describeLedger(server, setup)),
      await checkRights(server, setup),
    ]);
  } catch (error) {
    return [wrong(what, error), { what: ledger, state: 'not asked', line: 'it is in the store' }];
  }
}

async function checkRights(server: Store, { label, candidateLabel }: Setup): Promise<Check> {
  const what = 'permissions of the store';
  try {
    const problems = await server.checkRights({ promotedLabel: label, candidateLabel }, { isWriter: false });
    if (problems.length === 0) return { what, state: 'ok', line: 'they let nobody else promote' };
    const unsafe = problems.some(({ severity }) => severity === 'unsafe');
    return {
      what,
      state: unsafe ? 'wrong' : 'warning',
      line: problems.map(({ message }) => message).join('; '),
    };
  } catch (error) {
    return wrong(what, error);
  }
}

const KEEPS_NONE = 'keeps no referrers, so nothing there would show if the ledger were cut or replaced';

/** Throws if readers do not find what the ledger's head says. */
async function describeLedger(store: Store, { label, rules, registry, targets }: Setup): Promise<string> {
  const head = await readHead(ledgerOf(store, label), rules);
  if (head === undefined) {
    const tag = await store.readLabel(label);
    return tag === undefined
      ? `neither yet; ${await describeOthers(store)}`
      : `label ${label} names ${tag}, but there is no ledger: a person has to adopt the promoted image`;
  }
  const { n, record } = head;
  const said = `ledger record ${n} (${record.kind}) says ${formatCandidate(record.candidate)}`;
  const place = { reader: wholeArtifacts(store), registry, label, repositories: targets };
  const { visible, contradictions } = await look(place, record, await endOf(ledgerOf(store, label), head));
  const [contradiction] = contradictions;
  if (contradiction !== undefined) throw new ServiceError('bad-answer', contradiction, { hint: 'adopt' });
  const { steps, refusedBy } = await omitRefusedProofs(stepsTo(record, visible), store, label);
  const [step] = steps;
  if (step === undefined) return [said, ...refusedBy.map((name) => `${name} ${KEEPS_NONE}`)].join('; ');
  throw new ServiceError('conflict', `${said}; the next run of evaluate-and-promote will ${describeStep(step, label)}`);
}

/** At most this many names are listed. */
const NAMED = 5;

/** Lists the content of a directory without the label, which tells a wrong directory from a new one. */
async function describeOthers(store: Store): Promise<string> {
  const names = [...(await store.listLinks()).keys(), ...(await store.listLedgers()).map((name) => `ledger/${name}`)];
  if (names.length === 0) return 'the directory has no label at all';
  const more = names.length > NAMED ? ', …' : '';
  return `the directory has ${names.sort().slice(0, NAMED).join(', ')}${more}: is it the right one?`;
}

async function checkDlrn(dlrn: Dlrn | undefined, hasLogin: boolean): Promise<Check[]> {
  if (dlrn === undefined) {
    return [notSet('DLRN', 'dlrn-url'), notSet('DLRN login', 'dlrn-url')];
  }
  const health = await check('DLRN', () => dlrn.health());
  if (!hasLogin) return [health, notSet('DLRN login', 'log-in-to-dlrn')];
  return [
    health,
    await check('DLRN login', async () => {
      await dlrn.checkCredentials();
      return 'accepted';
    }),
  ];
}

async function checkCriteria({ criteria: read, label, now, ...setup }: Setup): Promise<Check[]> {
  const what = 'criteria';
  if (read === undefined) return [notSet(what, 'criteria')];
  try {
    const criteria = parseCriteria(await read(), label);
    const warnings = checkWaivers(criteria, now);
    const line = [`requirements of ${label}: ${criteria.requirements.length}`, ...warnings].join('; ');
    const state = warnings.length === 0 ? 'ok' : 'warning';
    return [{ what, state, line }, await checkReporters(reportedJobs(criteria), setup)];
  } catch (error) {
    return [wrong(what, error)];
  }
}

/**
 * Warns of jobs that nobody reports, neither to DLRN nor in a workflow's `needs`: most likely they are misspelled.
 * What is not set is not read. Zuul is never read: jobs that it may have results of are no reason for a warning.
 */
async function checkReporters(
  jobs: readonly string[],
  { dlrn, neededJobs, readsZuul }: Pick<Setup, 'dlrn' | 'neededJobs' | 'readsZuul'>,
): Promise<Check> {
  const what = 'reports of the jobs in the criteria';
  if (dlrn === undefined && neededJobs.length === 0) {
    return { what, state: 'not asked', line: 'there is neither DLRN nor a workflow whose needs are evidence' };
  }
  const unneeded = jobs.filter((job) => !neededJobs.includes(job));
  try {
    const remarks = dlrn && (await unreportedJobs(dlrn, unneeded));
    const lines = unneeded.flatMap((job) => {
      const remark = remarks === undefined ? describeUnneeded(job, jobs, neededJobs) : remarks.get(job);
      return remark === undefined ? [] : [`${oneLine(job, 256)}: ${remark}`];
    });
    if (lines.length === 0) return { what, state: 'ok', line: 'each of them is reported' };
    const line = lines.join('; ');
    return readsZuul
      ? { what, state: 'not asked', line: `Zuul may have results of these: ${line}` }
      : { what, state: 'warning', line, hint: 'criteria' };
  } catch (error) {
    return wrong(what, error);
  }
}

function describeUnneeded(job: string, jobs: readonly string[], neededJobs: readonly string[]): string {
  const others = neededJobs.filter((needed) => !jobs.includes(needed));
  const likely = likelyName(job, others);
  return `no workflow has it in needs${likely === undefined ? '' : `; one has ${oneLine(likely, 256)}`}`;
}

async function check(what: string, work: () => Promise<string>): Promise<Check> {
  try {
    return { what, state: 'ok', line: await work() };
  } catch (error) {
    return wrong(what, error);
  }
}

function wrong(what: string, error: unknown): Check {
  if (error instanceof UserError || error instanceof ServiceError)
    return { what, state: 'wrong', line: errorLine(error), hint: hintOf(error) };
  throw error;
}

function notSet(what: string, hint: Hint): Check {
  return { what, state: 'not set', line: 'its inputs are not set', hint };
}

const SIGN = { ok: '✅', warning: '⚠️', 'not set': '➖', 'not asked': '❔', wrong: '❌' } as const;

export function explainSetup(checks: readonly Check[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  return [
    '| | check | state | |',
    '| --- | --- | --- | --- |',
    ...checks.map(({ what, state, line }) => `| ${SIGN[state]} | ${cell(what)} | ${state} | ${cell(line)} |`),
  ].join('\n');
}
