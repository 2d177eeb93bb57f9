import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installSignaturePrograms } from '../sandbox/install.js';

/** cosign and oras, in a directory of their own. */
export interface Programs {
  /** Writes a file for them, and returns its path. */
  file(name: string, text: string): Promise<string>;
  cosign(...args: readonly string[]): Promise<Ended>;
  oras(...args: readonly string[]): Promise<Ended>;
  stop(): Promise<void>;
}

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function startPrograms(): Promise<Programs> {
  const programs = await installSignaturePrograms((line) => console.error(line));
  const home = await mkdtemp(join(tmpdir(), 'cosign-'));
  const run =
    (program: string) =>
    (...args: readonly string[]) =>
      new Promise<Ended>((resolve) => {
        const env = { PATH: process.env.PATH, HOME: home, COSIGN_PASSWORD: '' };
        execFile(program, args, { cwd: home, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
          resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
        });
      });
  return {
    file: async (name, text) => {
      await writeFile(join(home, name), text);
      return join(home, name);
    },
    cosign: run(programs.cosign),
    oras: run(programs.oras),
    stop: () => rm(home, { recursive: true, force: true }),
  };
}

/** The arguments of docs/how-to/verify-signatures.md for a key, and for registries on loopback. */
export function verifyArguments(key: string, type: string, image: string): readonly string[] {
  return [
    'verify-attestation',
    '--key',
    key,
    '--insecure-ignore-tlog=true',
    '--allow-http-registry',
    '--type',
    type,
    image,
  ];
}
