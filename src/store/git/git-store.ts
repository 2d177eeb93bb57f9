import * as v from 'valibot';
import type { Clock } from '../../base/clock.js';
import { errorLine, ServiceError, UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { parseWith } from '../../base/schema.js';
import { type Tag, tagSchema } from '../../candidate/reference.js';
import { backoffMs } from '../../http/policy.js';
import { MAX_RECORD } from '../../ledger/codec.js';
import { artifactTagSchema, type Label, labelOfPrevious, labelSchema } from '../../ledger/names.js';
import { recordPath } from '../../ledger/paths.js';
import {
  type CandidateFile,
  candidateFileName,
  candidateFileSchema,
  MAX_CANDIDATE_FILE,
  parseCandidateFile,
} from '../candidate-file.js';
import { type LastDecision, lastDecisionPath, lastDecisionSchema, parseLastDecision } from '../last-decision.js';
import { nameInLink } from '../links.js';
import { refuseOtherImage } from '../sftp/artifact.js';
import type { Store } from '../store.js';
import { type Branch, type BranchOptions, openBranch } from './branch.js';
import {
  blobId,
  isDirectory,
  ledgerNames,
  linkTarget,
  recordNumbers,
  sameLedger,
  topNames,
  type Written,
} from './tree.js';

export interface GitStoreOptions extends BranchOptions {
  readonly log: Log;
}

/** The number of pushes that may be ahead of ours before we give up. */
const ATTEMPTS = 20;

/**
 * A store in a git branch. A record is pushed at once, with the artifacts that were written before it; everything else
 * waits for `flush`. The same store reads its own writes even before they are pushed.
 *
 * @throws UserError for an address that cannot hold a store; ServiceError if the repository cannot be read.
 */
export async function openGitStore(options: GitStoreOptions): Promise<Store> {
  return createGitStore(await openBranch(options), options.clock, options.log);
}

/** One thing to write. It is redone on top of what another run pushed in the meantime. */
interface Change {
  /** Part of the commit's message. */
  readonly title: string;
  /** The change is valid only while these records stay unchanged: those of one label, or `all`; undefined: always. */
  readonly restsOn: Label | 'all' | undefined;
  /** Checks that the change is allowed, and writes it into `files`. Does nothing if it is already made. */
  make(files: Files): Promise<void>;
}

/** The branch, overlaid with what is to be pushed. */
class Files {
  readonly writes = new Map<string, Written>();

  constructor(readonly branch: Branch) {}

  kind(path: string): 'file' | 'symlink' | 'submodule' | 'directory' | undefined {
    const written = this.writes.get(path);
    if (written !== undefined) return written === 'removed' ? undefined : written.kind;
    return this.branch.tree.get(path)?.kind ?? (isDirectory(this.branch.tree, path) ? 'directory' : undefined);
  }

  async read(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const written = this.writes.get(path);
    if (written === undefined) return this.branch.read(path, maxBytes);
    return written === 'removed' ? undefined : written.bytes;
  }

  /** True if a file or symlink has one of these contents. Fetches nothing. */
  holds(path: string, ...contents: readonly string[]): boolean {
    const written = this.writes.get(path);
    if (written === 'removed') return false;
    if (written !== undefined) return contents.includes(written.bytes.toString());
    const id = this.branch.tree.get(path)?.id;
    return id !== undefined && contents.some((content) => blobId(Buffer.from(content), id) === id);
  }

  /** The names right in the directory. */
  names(): string[] {
    const names = new Set([...topNames(this.branch.tree), ...this.writes.keys()].filter((name) => !name.includes('/')));
    return [...names].filter((name) => this.writes.get(name) !== 'removed');
  }

  /** The target of a symlink; undefined if there is none. */
  async link(name: string): Promise<string | undefined> {
    if (this.kind(name) !== 'symlink') return undefined;
    const entry = this.writes.has(name) ? undefined : this.branch.tree.get(name);
    const target = entry && linkTarget(entry, this.names());
    return target ?? (await this.read(name, MAX_LINK))?.toString('utf8');
  }

  put(path: string, content: string | Uint8Array, kind: 'file' | 'symlink' = 'file'): void {
    this.writes.set(path, { kind, bytes: Buffer.from(content) });
  }

  remove(path: string): void {
    if (this.kind(path) !== undefined) this.writes.set(path, 'removed');
  }
}

/** In bytes. A tag has at most 128. */
const MAX_LINK = 1024;

/** A store on a branch that is open. */
export function createGitStore(branch: Branch, clock: Clock, log: Log): Store {
  const { where } = branch;
  let changes: Change[] = [];
  let files = new Files(branch);

  async function add(change: Change): Promise<void> {
    await change.make(files);
    changes.push(change);
  }

  /** Redoes all changes on top of the last look. */
  async function remake(): Promise<void> {
    files = new Files(branch);
    for (const change of changes) await change.make(files);
  }

  /** Looks at the branch, and redoes the unpushed changes on top. Drops changes that rest on a ledger that grew. */
  async function look(): Promise<{ dropped: readonly Change[] }> {
    const { tree, commit } = branch;
    await branch.look();
    if (branch.commit === commit || (await haveLanded())) return { dropped: [] };
    const stands = ({ restsOn }: Change) =>
      restsOn === undefined || sameLedger(tree, branch.tree, restsOn === 'all' ? undefined : restsOn);
    const dropped = changes.filter((change) => !stands(change));
    changes = changes.filter(stands);
    await remake();
    return { dropped };
  }

  /** True if all waiting changes are already in the branch, after a push whose answer was lost. */
  async function haveLanded(): Promise<boolean> {
    const there = new Files(branch);
    try {
      for (const change of changes) await change.make(there);
    } catch {
      return false;
    }
    files = there;
    return there.writes.size === 0;
  }

  /** Pushes the waiting changes. Drops and returns those that rest on a ledger that another run wrote to. */
  async function push(): Promise<readonly Change[]> {
    const dropped: Change[] = [];
    for (let attempt = 1; files.writes.size > 0; attempt += 1) {
      if (attempt > ATTEMPTS)
        throw new ServiceError('conflict', `${where}: ${ATTEMPTS} other pushes came first; try again later`);
      const { writes } = files;
      const message = changes.map(({ title }) => title).join(', ');
      let failure: unknown;
      try {
        if ((await branch.push(writes, message)) === 'pushed') break;
      } catch (error) {
        failure = error;
      }
      const before = branch.commit;
      try {
        dropped.push(...(await look()).dropped);
      } catch (error) {
        if (!(error instanceof ServiceError) || error.kind === 'conflict') throw error;
        // Even a push that was refused may have arrived, since curl sends lost requests again.
        throw new ServiceError(
          'unreachable',
          `${where}: perhaps written (the next run finds out): ${errorLine(failure ?? error)}`,
        );
      }
      // If the push arrived and only its answer was lost, nothing is left to write.
      if (failure !== undefined && (branch.commit === before || files.writes.size > 0) && dropped.length === 0)
        throw failure;
      if (files.writes.size > 0) await clock.sleep(backoffMs(attempt, clock.random()));
    }
    changes = [];
    files = new Files(branch);
    return dropped;
  }

  const conflict = (name: string, problem: string) => new ServiceError('conflict', `${where}/${name}: ${problem}`);

  function isWhole(from: Files, tag: Tag): boolean {
    const kind = from.kind(tag);
    if (kind === undefined) return false;
    if (kind !== 'file') throw conflict(tag, `is a ${kind === 'symlink' ? 'label' : kind}, not the artifact`);
    if (!from.holds(tag, tag, `${tag}\n`)) throw conflict(tag, 'is another file, not the artifact');
    return true;
  }

  async function readCandidateFile(from: Files, tag: Tag): Promise<CandidateFile | undefined> {
    const name = candidateFileName(tag);
    const kind = from.kind(name);
    if (kind !== undefined && kind !== 'file') throw conflict(name, `is a ${kind}, not a candidate file`);
    const bytes = await from.read(name, MAX_CANDIDATE_FILE);
    return bytes && parseCandidateFile(bytes.toString('utf8'), tag, `${where}/${name}`);
  }

  async function readArtifact(from: Files, tag: Tag): Promise<CandidateFile | 'bare' | undefined> {
    return isWhole(from, tag) ? ((await readCandidateFile(from, tag)) ?? 'bare') : undefined;
  }

  async function readLabel(from: Files, label: Label): Promise<Tag | undefined> {
    const kind = from.kind(label);
    if (kind === undefined) return undefined;
    if (kind !== 'symlink') throw conflict(label, `is a ${kind}, but a label must be a symlink`);
    const target = await from.link(label);
    const tag = v.safeParse(tagSchema, target);
    if (!tag.success) throw conflict(label, `points at ${JSON.stringify(target)}, not at a tag beside it`);
    return tag.output;
  }

  async function readLastDecision(from: Files, label: Label): Promise<LastDecision | undefined> {
    const name = lastDecisionPath(label);
    const json = await from.read(name, MAX_RECORD);
    return json && parseLastDecision(json.toString('utf8'), `${where}/${name}`);
  }

  async function linksOf(from: Files): Promise<Map<string, string>> {
    const links = new Map<string, string>();
    for (const name of from.names()) {
      const target = await from.link(name);
      if (target !== undefined) links.set(name, nameInLink(target));
    }
    return links;
  }

  function recordChange(label: Label, n: number, bytes: Uint8Array): Change {
    const name = recordPath(label, n);
    return {
      title: `${label}: record ${n}`,
      restsOn: undefined,
      make: async (on) => {
        const there = await on.read(name, MAX_RECORD);
        if (there?.equals(bytes)) return;
        if (there !== undefined) throw new Lost();
        const numbers = new Set(recordNumbers(branch.tree, label));
        const missing = [n - 1, n].find((one) => one > 0 && !numbers.has(one) && (one < n || numbers.has(n + 1)));
        if (missing !== undefined) throw conflict(name, `not written, record ${missing} is missing`);
        on.put(name, bytes);
      },
    };
  }

  return {
    where,
    readLabel: (label) => readLabel(files, label),
    async moveLabel(label, tag) {
      await add({
        title: `${label} is ${tag}`,
        restsOn: labelOfPrevious(label),
        make: async (on) => {
          if (!isWhole(on, tag)) {
            throw new ServiceError('not-found', `${where}: label ${label} cannot move to ${tag}: no such artifact`);
          }
          if ((await readLabel(on, label)) !== tag) on.put(label, tag, 'symlink');
        },
      });
    },
    async removeLabel(label) {
      await add({
        title: `no ${label}`,
        restsOn: labelOfPrevious(label),
        make: async (on) => {
          if ((await readLabel(on, label)) !== undefined) on.remove(label);
        },
      });
    },

    // The forge decides who may push. A branch has no file permissions.
    checkRights: async () => [],
    readCandidateFile: (tag) => readCandidateFile(files, tag),
    readArtifact: (tag) => readArtifact(files, tag),
    async writeArtifact(file, { replace } = {}) {
      parseWith(candidateFileSchema, file, (problem) => new UserError(`cannot publish ${file.tag}: ${problem}`));
      await add({
        title: file.tag,
        restsOn: undefined,
        make: async (on) => {
          const there = await readArtifact(on, file.tag);
          if (there !== undefined && there !== 'bare') {
            const isSame = there.reference === file.reference;
            if (isSame && (replace !== 'set' || there['set-digest'] === file['set-digest'])) return;
            if (replace !== 'image') refuseOtherImage(there, file);
          }
          if (there === undefined) on.put(file.tag, file.tag);
          on.put(candidateFileName(file.tag), `${JSON.stringify(file, undefined, 2)}\n`);
        },
      });
    },
    listArtifacts: async () =>
      files.names().flatMap((name) => {
        const tag = v.safeParse(artifactTagSchema, name);
        return tag.success && files.kind(name) === 'file' && files.holds(name, name, `${name}\n`) ? [tag.output] : [];
      }),
    listLinks: () => linksOf(files),
    async listLedgers() {
      await look();
      return ledgerNames(branch.tree).map((name) =>
        parseWith(labelSchema, name, (problem) => new ServiceError('conflict', `${where}/ledger: ${problem}`)),
      );
    },
    async removeArtifact(tag) {
      await add({
        title: `remove ${tag}`,
        restsOn: 'all',
        make: async (on) => {
          for (const [name, target] of await linksOf(on)) {
            if (target === tag) throw new UserError(`${where}/${tag}: label ${name} points at it, so it stays`);
          }
          if ((await readArtifact(on, tag)) === undefined) return;
          on.remove(candidateFileName(tag));
          on.remove(tag);
        },
      });
    },

    async listRecords(label) {
      await look();
      return recordNumbers(branch.tree, label);
    },
    async readRecord(label, n) {
      const name = recordPath(label, n);
      // Since the last look, only the record after the newest can have been added.
      if (n === Math.max(0, ...recordNumbers(branch.tree, label)) + 1) await look();
      return branch.read(name, MAX_RECORD);
    },
    findChangedRecord: (label) => branch.findChange(`ledger/${label}`),
    async appendRecord(label, n, bytes) {
      const name = recordPath(label, n);
      if (bytes.length > MAX_RECORD) {
        throw new ServiceError('too-large', `${where}/${name}: a record of ${bytes.length} bytes, over ${MAX_RECORD}`);
      }
      try {
        await add(recordChange(label, n, bytes));
        await push();
        return 'won';
      } catch (error) {
        // Whatever waits was meant for this record.
        changes = [];
        files = new Files(branch);
        if (error instanceof Lost) return 'lost';
        throw error;
      }
    },

    readLastDecision: (label) => readLastDecision(files, label),
    async writeLastDecision(label, decision) {
      const text = `${JSON.stringify(v.parse(lastDecisionSchema, decision), undefined, 2)}\n`;
      await add({
        title: `${label}: ${decision.decision}`,
        restsOn: undefined,
        make: async (on) => {
          const before = await readLastDecision(on, label);
          // Without other changes it is worth a commit only if it says something new.
          if (on.writes.size > 0 || !saysTheSame(before, decision)) on.put(lastDecisionPath(label), text);
        },
      });
    },

    readPage: async (name, maxBytes) => (await files.read(name, maxBytes))?.toString('utf8'),
    async writePage(name, text) {
      await add({
        title: name,
        restsOn: undefined,
        make: async (on) => {
          if (on.kind(name) !== 'file' || !on.holds(name, text)) on.put(name, text);
        },
      });
    },

    sweep: async () => undefined,
    async flush() {
      const dropped = await push();
      for (const { title } of dropped) log.info(`another run wrote to the ledger first; left to that run: ${title}`);
    },
    close: () => branch.close(),
  };
}

/** Another run's record has this number. */
class Lost extends Error {}

function saysTheSame(before: LastDecision | undefined, now: LastDecision): boolean {
  const words = ({ decision, reason, reference, regressed, 'without-referrers': keepNone }: LastDecision) =>
    JSON.stringify([decision, reason, reference, regressed, keepNone]);
  return before !== undefined && words(before) === words(now);
}
