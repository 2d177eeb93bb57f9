import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../../src/base/clock.js';
import { actionsTransport } from '../../src/http/actions-transport.js';
import { createHttp, defaultPolicy } from '../../src/http/policy.js';
import { startTlsFront, type TlsFront } from '../registry/tls-front.js';
import { sandbox } from '../sandbox/current.js';

/** The client of the small APIs with a server whose certificate a company's own authority signed. */

const silent = { debug: () => {}, info: () => {}, warning: () => {}, group: <T>(_: string, phase: () => T) => phase() };

let directory: string;
let front: TlsFront;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'actions-transport-'));
  const { tools, source } = sandbox();
  front = await startTlsFront({ nginx: tools.nginx, directory, upstream: source.url, http2: false });
});

afterAll(async () => {
  await front.stop();
  await rm(directory, { recursive: true, force: true });
});

function get(ca?: string) {
  const http = createHttp({ transport: actionsTransport(ca), policy: defaultPolicy, clock: systemClock, log: silent });
  const url = new URL(`https://${front.host}/v2/`);
  return http.sendForText({ method: 'GET', url }, { idempotent: true, maxBytes: 1000 });
}

test('reads with the certificate of the authority', async () => {
  expect(await get(front.ca)).toMatchObject({ status: 200 });
});

test('refuses without it, at once, and says how to trust it', async () => {
  const before = (await front.requests()).length;
  await expect(get()).rejects.toMatchObject({ kind: 'unreachable', hint: 'trust-certificate' });
  expect((await front.requests()).length).toBe(before);
});
