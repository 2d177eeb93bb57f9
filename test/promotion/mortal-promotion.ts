import { writeSync } from 'node:fs';
import ssh2, { type SFTPWrapper } from 'ssh2';
import { action } from '../../src/actions/evaluate-and-promote.js';
import { runAction } from '../../src/runner/run-action.js';

/**
 * The action evaluate-and-promote as its bundle runs it. With SIGNAL and AFTER it sends itself that signal when so many
 * SFTP requests are answered, and says so before; which were answered it says at its end.
 */
const { SIGNAL = '', AFTER } = process.env;
const answered: string[] = [];

const REQUESTS = [
  ...[
    'open',
    'read',
    'write',
    'close',
    'lstat',
    'stat',
    'opendir',
    'readdir',
    'readlink',
    'mkdir',
    'symlink',
    'unlink',
  ],
  ...['ext_openssh_fsync', 'ext_openssh_hardlink', 'ext_openssh_rename', 'ext_openssh_statvfs'],
];

type Done = (...results: unknown[]) => void;

function watch(sftp: SFTPWrapper): void {
  for (const name of REQUESTS) {
    const request: unknown = Reflect.get(sftp, name);
    if (typeof request !== 'function') throw new Error(`ssh2 has no ${name}`);
    Reflect.set(sftp, name, (...args: unknown[]) => {
      const done = args.pop() as Done;
      const watched: Done = (...results) => {
        answered.push(name);
        if (answered.length === Number(AFTER)) {
          writeSync(1, `${SIGNAL} after ${name}\n`);
          process.kill(process.pid, SIGNAL);
        }
        done(...results);
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

process.on('exit', () => console.log(`answered: ${answered.join(' ')}`));
await runAction(action);
