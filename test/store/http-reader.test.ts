import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { systemClock } from '../../src/base/clock.js';
import { tagSchema } from '../../src/candidate/reference.js';
import { actionsTransport } from '../../src/http/actions-transport.js';
import { createHttp, defaultPolicy } from '../../src/http/policy.js';
import { labelSchema } from '../../src/ledger/names.js';
import { httpReader } from '../../src/store/http-reader.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(answer: (path: string) => { status: number; location?: string; body?: string }): Promise<URL> {
  const server = createServer((request, response) => {
    const { status, location, body = '' } = answer(request.url ?? '');
    response.writeHead(status, location === undefined ? {} : { location }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/images`);
}

const log = { debug() {}, info() {}, warning() {}, group: <T>(_: string, phase: () => Promise<T>) => phase() };
const http = createHttp({ transport: actionsTransport(), policy: defaultPolicy, clock: systemClock, log });
const LABEL = v.parse(labelSchema, 'current-ceph');
const TAG = v.parse(tagSchema, 'v1');

test('after a redirect to another host a file is read, but an error does not quote the answer', async () => {
  let body = 'v1';
  const inner = await serve(() => ({ status: 200, body }));
  const outer = await serve((path) => ({ status: 302, location: `${inner.origin}${path}` }));
  const reader = httpReader(http, outer);
  expect(await reader.readLabel(LABEL)).toBe('v1');
  body = '{"secret": "inner words"}';
  const reads = [
    reader.readLabel(LABEL),
    reader.readCandidateFile(TAG),
    reader.readRecord(LABEL, 1),
    reader.readLastDecision(LABEL),
  ];
  for (const read of await Promise.allSettled(reads)) {
    expect(read).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringContaining(`${inner.host}, after a redirect, sent something else`) },
    });
    expect(read.status === 'rejected' && String(read.reason)).not.toMatch(/inner words|secret/);
  }
});
