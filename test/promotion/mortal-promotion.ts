import ssh2, { type SFTPWrapper } from 'ssh2';
import { action } from '../../src/actions/evaluate-and-promote.js';
import { runAction } from '../../src/runner/run-action.js';

/**
 * The action evaluate-and-promote as its bundle runs it. With DIE_AFTER_SFTP_REQUEST it kills itself when so many SFTP
 * requests are answered; how many there were it says at its end.
 */
const dieAfter = Number(process.env.DIE_AFTER_SFTP_REQUEST ?? 'NaN');
let answered = 0;

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

function countAnswers(sftp: SFTPWrapper): void {
  for (const name of REQUESTS) {
    const request: unknown = Reflect.get(sftp, name);
    if (typeof request !== 'function') throw new Error(`ssh2 has no ${name}`);
    Reflect.set(sftp, name, (...args: unknown[]) => {
      const done = args.pop() as Done;
      Reflect.apply(request, sftp, [
        ...args,
        (...results: unknown[]) => {
          answered += 1;
          if (answered === dieAfter) process.kill(process.pid, 'SIGKILL');
          done(...results);
        },
      ]);
    });
  }
}

const { sftp: startSftp } = ssh2.Client.prototype;
ssh2.Client.prototype.sftp = function (this: InstanceType<typeof ssh2.Client>, ...args: Parameters<typeof startSftp>) {
  const done = args.pop() as (error: Error | undefined, sftp: SFTPWrapper) => void;
  return Reflect.apply(startSftp, this, [
    (error: Error | undefined, sftp: SFTPWrapper) => {
      if (!error) countAnswers(sftp);
      done(error, sftp);
    },
  ]);
};

process.on('exit', () => console.log(`SFTP requests: ${answered}`));
await runAction(action);
