import * as v from 'valibot';
import { type Clock, systemClock } from '../../src/base/clock.js';
import type { Log } from '../../src/base/log.js';
import { digestSchema, repositorySchema, type Tag, tagSchema } from '../../src/candidate/reference.js';
import { createRegistry } from '../../src/registry/create-registry.js';
import type { Copy, Login, Registry, RegistryOptions } from '../../src/registry/registry.js';

export const repository = (text: string) => v.parse(repositorySchema, text);
export const digest = (text: string) => v.parse(digestSchema, text);
export const tag = (text: string): Tag => v.parse(tagSchema, text);

/** Real time, in which waits are a fiftieth as long. */
export const hastyClock: Clock = {
  ...systemClock,
  sleep: (milliseconds, signal) => systemClock.sleep(milliseconds / 50, signal),
};

/** Time that runs fifty times as fast: not only waits end sooner, but deadlines too. */
export function createFastClock(): Clock {
  const begin = Date.now();
  return { ...hastyClock, now: () => begin + 50 * (Date.now() - begin) };
}

export interface Lines extends Log {
  readonly lines: string[];
}

/** A log that keeps its lines. */
export function createLines(): Lines {
  const lines: string[] = [];
  const keep = (line: string) => void lines.push(line);
  return { lines, debug: keep, info: keep, warning: keep, group: (_, phase) => phase() };
}

const open: Registry[] = [];

/** A registry client, anonymous unless a login is given; ended by `closeAll`. */
export function client(options: Partial<RegistryOptions> & { readonly login?: Login } = {}): Registry {
  const { login, ...rest } = options;
  const account = { hint: 'log-in-to-target' as const, ...(login !== undefined && { login }) };
  const registry = createRegistry({
    account: () => account,
    plainHttp: [],
    clock: hastyClock,
    log: createLines(),
    ...rest,
  });
  open.push(registry);
  return registry;
}

export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((registry) => registry.close()));
}

export function copyOf(source: string, from: { readonly digest: string }, target: string, name = 'v1'): Copy {
  return {
    source: { repository: repository(source), digest: digest(from.digest) },
    target: { repository: repository(target), tag: tag(name) },
  };
}
