import { AsyncLocalStorage } from 'node:async_hooks';
import { writeSync } from 'node:fs';
import ssh2, { type SFTPWrapper } from 'ssh2';
import { action } from '../../src/actions/evaluate-and-promote.js';
import { readRunContext } from '../../src/runner/context.js';
import type { Inputs, ParsedInputs } from '../../src/runner/inputs.js';
import { createLog, Redactor } from '../../src/runner/log.js';
import { parseInput } from '../../src/runner/run-action.js';
import type { MortalPromotion } from './process.js';

/**
 * The action evaluate-and-promote as its bundle runs it, several at once: one process is killed in the middle of all.
 * Each says when it is where it is to be interrupted, and waits there, until the process is stopped and goes on; and which
 * SFTP requests were answered when it ends.
 */
const promotions: readonly MortalPromotion[] = JSON.parse(process.env.PROMOTIONS ?? '[]');
const current = new AsyncLocalStorage<{
  readonly index: number;
  readonly answered: string[];
  readonly promotion: MortalPromotion;
}>();

/** What those would do next that are where they are to be interrupted. */
const waiting: (() => void)[] = [];
let wasStopped = false;
process.on('SIGCONT', () => {
  wasStopped = true;
  for (const goOn of waiting) goOn();
});

function say(text: string): void {
  writeSync(1, `${text}\n`);
}

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
  const own = current.getStore();
  if (own === undefined) throw new Error('a session of no promotion');
  const { index, answered, promotion } = own;
  for (const name of REQUESTS) {
    const request: unknown = Reflect.get(sftp, name);
    if (typeof request !== 'function') throw new Error(`ssh2 has no ${name}`);
    Reflect.set(sftp, name, (...args: unknown[]) => {
      const done = args.pop() as Done;
      const watched: Done = (...results) => {
        answered.push(name);
        const goOn = () => done(...results);
        const { after = Number.POSITIVE_INFINITY } = promotion;
        if (wasStopped || answered.length < after) return goOn();
        waiting.push(goOn);
        if (answered.length === after) say(`reached ${index} after ${name}`);
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

function parse(inputs: Readonly<Record<string, string>>): ParsedInputs<typeof action.inputs> {
  const declared: Inputs = action.inputs;
  const parsed = Object.entries(declared).map(([name, input]) => [name, parseInput(name, input, inputs[name] ?? '')]);
  return Object.fromEntries(parsed);
}

async function run(promotion: MortalPromotion, index: number): Promise<void> {
  const answered: string[] = [];
  const log = createLog(new Redactor());
  const runner = {
    log,
    context: readRunContext(process.env),
    redact: (text: string) => text,
    checkOutputs: () => undefined,
  };
  await current.run({ index, answered, promotion }, () => action.run(parse(promotion.inputs), runner));
  say(`ended ${index}: ${answered.join(' ')}`);
}

await Promise.all(promotions.map(run));
process.exit();
