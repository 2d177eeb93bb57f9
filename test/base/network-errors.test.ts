import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { networkErrorLine } from '../../src/base/network-errors.js';

const failed = (fields: object, message = '') => Object.assign(new Error(message), fields);

test.each<[unknown, string]>([
  [
    failed({ code: 'ENOTFOUND', hostname: 'dlrn.example' }, 'getaddrinfo ENOTFOUND dlrn.example'),
    'the name dlrn.example does not resolve (ENOTFOUND)',
  ],
  [
    failed({ code: 'EAI_AGAIN', hostname: 'dlrn.example' }),
    'the name dlrn.example cannot be looked up now: no name server answers (EAI_AGAIN)',
  ],
  [
    failed({ code: 'ECONNREFUSED', address: '192.0.2.1', port: 443 }),
    'no server listens at 192.0.2.1:443 (ECONNREFUSED)',
  ],
  [
    new AggregateError([
      failed({ code: 'ECONNREFUSED', address: '::1', port: 80 }),
      failed({ code: 'ECONNREFUSED', address: '127.0.0.1', port: 80 }),
    ]),
    'no server listens at ::1:80 (ECONNREFUSED)',
  ],
  [
    failed({ code: 'ETIMEDOUT', address: '192.0.2.1', port: 443 }),
    'nothing answers at 192.0.2.1:443: is the address wrong, or is there a firewall? (ETIMEDOUT)',
  ],
  [
    failed({ code: 'UND_ERR_CONNECT_TIMEOUT' }),
    'nothing answers there: is the address wrong, or is there a firewall? (UND_ERR_CONNECT_TIMEOUT)',
  ],
  [
    failed({ code: 'ENETUNREACH', address: '192.0.2.1', port: 443 }),
    'there is no route to 192.0.2.1:443 (ENETUNREACH)',
  ],
  [failed({ code: 'EHOSTUNREACH' }), 'there is no route to the server (EHOSTUNREACH)'],
  [failed({ code: 'ECONNRESET' }, 'socket hang up'), 'the server ended the connection (ECONNRESET)'],
  [
    failed({ code: 'UND_ERR_SOCKET' }, 'HTTP/2: "GOAWAY" frame received with code 0'),
    'the server ended the connection (HTTP/2: "GOAWAY" frame received with code 0)',
  ],
  [failed({ code: 'ENOSPC' }, 'no space'), 'no space'],
  ['thrown text', 'thrown text'],
])('%s', (error, line) => {
  expect(networkErrorLine(error)).toBe(line);
});

describe("Node's own errors", () => {
  const failureOf = (url: string) =>
    new Promise<string>((resolve) => {
      get(url, { agent: false }, (answer) => {
        answer.resume();
        resolve(`answered ${answer.statusCode}`);
      }).on('error', (error) => resolve(networkErrorLine(error)));
    });

  test('nobody listens', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const address = free.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    free.close();
    await once(free, 'close');
    expect(await failureOf(`http://127.0.0.1:${port}`)).toBe(`no server listens at 127.0.0.1:${port} (ECONNREFUSED)`);
  });

  test.each([
    [
      'an SSH server',
      'SSH-2.0-OpenSSH_9.6\r\n',
      'what answers there does not speak HTTP: is it the right port? (HPE_INVALID_CONSTANT)',
    ],
    ['a server that hangs up', undefined, 'the server ended the connection (ECONNRESET)'],
  ])('%s', async (_, greeting, line) => {
    const server = createTcp((socket) => {
      socket.on('error', () => undefined);
      if (greeting === undefined) socket.destroy();
      else socket.write(greeting);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    expect(await failureOf(`http://127.0.0.1:${port}`)).toBe(line);
    server.close();
  });
});
