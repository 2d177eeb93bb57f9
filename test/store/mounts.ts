import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from '@jest/globals';

/** A test that needs the right to mount a file system, to fill it on purpose: mostly root has it. */
export const testWithMounts = mayMount() ? test : test.skip;

export function mountTmpfs(path: string, size: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', path], { stdio: 'ignore' });
}

export function remountReadOnly(path: string): void {
  execFileSync('mount', ['-o', 'remount,ro', path]);
}

export function unmount(path: string): void {
  execFileSync('umount', [path]);
}

function mayMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), 'may-mount-'));
  try {
    mountTmpfs(path, '16k');
    unmount(path);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(path);
  }
}
