import type { Clock } from '../../base/clock.js';
import { errorLine, ServiceError } from '../../base/errors.js';
import { backoffMs } from '../../http/policy.js';
import type { Label } from '../../ledger/names.js';
import type { Branch } from './branch.js';
import { Files } from './files.js';
import { sameLedger } from './tree.js';

/** One thing to write. It is redone on top of what another run pushed in the meantime. */
export interface Change {
  /** Part of the commit's message. */
  readonly title: string;
  /** The change is valid only while these records stay unchanged: those of one label, or `all`; undefined: always. */
  readonly restsOn?: Label | 'all';
  /** Checks that the change is allowed, and writes it into `files`. Does nothing if it is already made. */
  make(files: Files): Promise<void>;
}

/** The number of pushes that may be ahead of ours before we give up. */
const ATTEMPTS = 20;

/** The changes to a branch that wait to be pushed in one commit. */
export class Changes {
  /** The branch's files, with the waiting changes made. */
  files: Files;
  #waiting: readonly Change[] = [];

  constructor(
    readonly branch: Branch,
    readonly clock: Clock,
  ) {
    this.files = new Files(branch);
  }

  async add(change: Change): Promise<void> {
    await change.make(this.files);
    this.#waiting = [...this.#waiting, change];
  }

  /** Drops all waiting changes. */
  drop(): void {
    this.#waiting = [];
    this.files = new Files(this.branch);
  }

  /** Looks at the branch, and redoes the waiting changes on top. Drops and returns those that rest on a ledger that grew. */
  async look(): Promise<readonly Change[]> {
    const { tree, commit } = this.branch;
    await this.branch.look();
    if (this.branch.commit === commit || (await this.#haveLanded())) return [];
    const stands = ({ restsOn }: Change) =>
      restsOn === undefined || sameLedger(tree, this.branch.tree, restsOn === 'all' ? undefined : restsOn);
    const dropped = this.#waiting.filter((change) => !stands(change));
    this.#waiting = this.#waiting.filter(stands);
    this.files = await this.#remake();
    return dropped;
  }

  /** True if all waiting changes are already in the branch, after a push whose answer was lost. */
  async #haveLanded(): Promise<boolean> {
    try {
      const there = await this.#remake();
      if (there.writes.size > 0) return false;
      this.files = there;
      return true;
    } catch {
      return false;
    }
  }

  /** Makes the waiting changes on top of the last look. */
  async #remake(): Promise<Files> {
    const files = new Files(this.branch);
    for (const change of this.#waiting) await change.make(files);
    return files;
  }

  /** Pushes the waiting changes. Drops and returns those that rest on a ledger that another run wrote to. */
  async push(): Promise<readonly Change[]> {
    const { branch, clock } = this;
    const dropped: Change[] = [];
    for (let attempt = 1; this.files.writes.size > 0; attempt += 1) {
      if (attempt > ATTEMPTS) {
        throw new ServiceError('conflict', `${branch.where}: ${ATTEMPTS} other pushes came first; try again later`);
      }
      let failure: unknown;
      try {
        const message = this.#waiting.map(({ title }) => title).join(', ');
        if ((await branch.push(this.files.writes, message)) === 'pushed') break;
      } catch (error) {
        failure = error;
      }
      const before = branch.commit;
      dropped.push(...(await this.#lookAfter(failure)));
      const isLeft = this.files.writes.size > 0;
      // If the push arrived and only its answer was lost, nothing is left to write.
      if (failure !== undefined && (branch.commit === before || isLeft) && dropped.length === 0) throw failure;
      if (isLeft) await clock.sleep(backoffMs(attempt, clock.random()));
    }
    this.drop();
    return dropped;
  }

  /** Looks after a push that was not first, or that failed. */
  async #lookAfter(failure: unknown): Promise<readonly Change[]> {
    try {
      return await this.look();
    } catch (error) {
      if (!(error instanceof ServiceError) || error.kind === 'conflict') throw error;
      // Even a push that was refused may have arrived, since curl sends lost requests again.
      throw new ServiceError(
        'unreachable',
        `${this.branch.where}: this may have been written; the next run finds out: ${errorLine(failure ?? error)}`,
      );
    }
  }
}
