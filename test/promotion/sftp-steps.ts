import { AsyncLocalStorage } from 'node:async_hooks';
import ssh2, { type SFTPWrapper } from 'ssh2';

/** The SFTP requests of one run, counted by their answers. */
export interface SftpSteps {
  /** The names of those that the server has answered. */
  readonly answered: readonly string[];
  /** Resolves when `after` of them were answered. The run does not see that answer, nor any after it. */
  readonly reached: Promise<void>;
  /** Counts what `work` asks for, and whatever that starts. */
  within<T>(work: () => T): T;
  /** Lets the run see what it waits for, and all that follows. */
  goOn(): void;
  /** From now on the run sends nothing and sees no answer: all that it asks fails. */
  die(): void;
}

type Pass = (error?: Error) => void;

interface Counted {
  /** Whether it may send anything. */
  alive(): boolean;
  /** Takes an answer, which `pass` lets the run see. */
  take(name: string, pass: Pass): void;
}

const current = new AsyncLocalStorage<Counted>();

export function countSftp(after = Number.POSITIVE_INFINITY): SftpSteps {
  const answered: string[] = [];
  const waiting: Pass[] = [];
  let state: 'counting' | 'going on' | 'dead' = 'counting';
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const counted: Counted = {
    alive: () => state !== 'dead',
    take: (name, pass) => {
      answered.push(name);
      if (state === 'dead') return pass(killed());
      if (state === 'going on' || answered.length < after) return pass();
      waiting.push(pass);
      reach();
    },
  };
  return {
    answered,
    reached,
    within: (work) => current.run(counted, work),
    goOn: () => {
      state = 'going on';
      for (const pass of waiting.splice(0)) pass();
    },
    die: () => {
      state = 'dead';
      for (const pass of waiting.splice(0)) pass(killed());
    },
  };
}

function killed(): Error {
  return new Error('killed');
}

const REQUESTS = [
  ...['open', 'read', 'write', 'close', 'lstat', 'stat', 'opendir', 'readdir', 'readlink', 'mkdir', 'symlink'],
  ...['unlink', 'setstat', 'ext_openssh_fsync', 'ext_openssh_hardlink', 'ext_openssh_rename', 'ext_openssh_statvfs'],
];

type Done = (...results: unknown[]) => void;

function watch(sftp: SFTPWrapper): void {
  for (const name of REQUESTS) {
    const request: unknown = Reflect.get(sftp, name);
    if (typeof request !== 'function') throw new Error(`ssh2 has no ${name}`);
    Reflect.set(sftp, name, (...args: unknown[]) => {
      const run = current.getStore();
      if (run === undefined) return Reflect.apply(request, sftp, args);
      const done = args.pop() as Done;
      if (!run.alive()) return done(killed());
      const watched: Done = (...results) => {
        run.take(name, (error) => current.run(run, () => (error ? done(error) : done(...results))));
      };
      Reflect.apply(request, sftp, [...args, watched]);
    });
  }
}

const { sftp: startSftp } = ssh2.Client.prototype;
ssh2.Client.prototype.sftp = function (this: InstanceType<typeof ssh2.Client>, ...args: Parameters<typeof startSftp>) {
  const done = args.pop() as (error: Error | undefined, sftp: SFTPWrapper) => void;
  const watched = (error: Error | undefined, sftp: SFTPWrapper) => {
    if (!error) watch(sftp);
    done(error, sftp);
  };
  return Reflect.apply(startSftp, this, [watched]);
};
