import { cpSync, rmSync } from 'node:fs';
import type { BundleRun } from '../e2e/bundle.js';
import type { GitServer } from '../sandbox/git-server.js';

/** Where a run's requests go: a git server, and a REST API that asks before and after each request. */
export interface Watched {
  readonly git: Pick<GitServer, 'fault' | 'carriedOut'>;
  readonly rest: { fault: (when: 'before' | 'after', method: string) => boolean };
}

/**
 * Starts a run that is killed, with all that it started, at its n-th step, from 0: before or after a request is carried
 * out. Returns its status, null if it was killed, and the steps that it got to.
 */
export async function killAtStep(
  n: number,
  { git, rest }: Watched,
  run: (started: (kill: () => void) => void) => Promise<BundleRun>,
): Promise<{ readonly status: number | null; readonly steps: string[] }> {
  const steps: string[] = [];
  let kill: () => void = () => undefined;
  /** Where it returns true, the request is not carried out, or not answered. */
  let reached = (step: string): boolean => {
    if (steps.length > n) return true;
    steps.push(step);
    if (steps.length <= n) return false;
    kill();
    return true;
  };
  git.fault = (kind, _, response) => {
    const isOver = reached(`before ${kind}`);
    if (isOver) response.destroy();
    return isOver;
  };
  git.carriedOut = (kind) => void reached(`after ${kind}`);
  rest.fault = (when, method) => reached(`${when} ${method}`);
  const { status } = await run((killer) => {
    kill = killer;
  });
  reached = () => false;
  return { status, steps };
}

/** Keeps a directory as it is now; the function that is returned brings it back. */
export function keep(directory: string): () => void {
  const kept = `${directory}-kept`;
  cpSync(directory, kept, { recursive: true });
  return () => {
    rmSync(directory, { recursive: true });
    cpSync(kept, directory, { recursive: true });
  };
}
