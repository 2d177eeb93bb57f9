import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { type Lane, NEW, type Start } from './lane.js';
import { CURRENT, tinyImage } from './support.js';

/** What a consumer of a lane finds over plain HTTP, one thing after the other; throws if that is not an image. */
export async function readAsConsumer({ scene, registryUrl, old, candidate }: Lane): Promise<string | undefined> {
  const { directory, targetRepository } = scene;
  const file = async (name: string) => (await get(`${directory.url}/${name}`))?.text;
  const digest = async (repository: string, reference: string) =>
    (await get(`${registryUrl}/v2/${repository}/manifests/${reference}`, 'HEAD'))?.digest;
  const label = await file(CURRENT);
  if (label === undefined) return undefined;
  const image = label === NEW ? candidate : old;
  const found = {
    label,
    artifact: await file(label),
    candidateFile: JSON.parse((await file(`${label}.json`)) ?? 'null'),
    image: await digest(targetRepository, label),
    moving: await digest(targetRepository, CURRENT),
    companion: await digest(`${targetRepository}-companion`, CURRENT),
  };
  // Tags move before the label, so that they may be ahead of it.
  const isAhead = label !== NEW && found.moving === candidate.digest;
  expect(found).toEqual({
    label: image.tag,
    artifact: label,
    candidateFile: expect.objectContaining({ tag: label, digest: image.digest }),
    image: image.digest,
    moving: isAhead ? candidate.digest : image.digest,
    companion: tinyImage('companion').digest,
  });
  return label;
}

const agent = new Agent({ keepAlive: true });

/** The answer to a GET or HEAD; undefined where there is no such thing. */
async function get(url: string, method = 'GET'): Promise<{ text: string; digest: unknown } | undefined> {
  const response = await ask(url, method);
  let text = '';
  for await (const chunk of response) text += chunk;
  if (response.statusCode === 404) return undefined;
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
  return { text, digest: response.headers['docker-content-digest'] };
}

async function ask(url: string, method: string): Promise<IncomingMessage> {
  const asking = request(url, { method, agent, headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } });
  asking.end();
  try {
    const [response]: IncomingMessage[] = await once(asking, 'response');
    if (response === undefined) throw new Error('no response');
    return response;
  } catch (error) {
    // A server may close an idle connection in the moment in which it is used again.
    if (asking.reusedSocket && error instanceof Error && 'code' in error && error.code === 'ECONNRESET') {
      return ask(url, method);
    }
    throw error;
  }
}

/** Reads until `stop` is called, which throws what any of its readings found wrong. */
export function keepReading(lane: Lane, start: Start): { stop(): Promise<void> } {
  let reading = true;
  let seen = start !== 'nothing';
  const done = (async () => {
    while (reading) {
      const label = await readAsConsumer(lane);
      if (label === undefined && seen) throw new Error('there was no label');
      seen = label !== undefined;
      await sleep(50);
    }
  })();
  done.catch(() => {});
  return {
    stop: async () => {
      reading = false;
      await done;
    },
  };
}
