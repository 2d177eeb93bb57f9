import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type ServerProcess, startServer } from '../sandbox/process.js';

export interface TlsFront extends ServerProcess {
  /** `localhost:port`. */
  readonly host: string;
  /** The CA that signed its certificate, as PEM. */
  readonly ca: string;
  /** Each request so far: the protocol, and the number of its connection. */
  requests(): Promise<readonly { readonly protocol: string; readonly connection: string }[]>;
}

export interface TlsFrontOptions {
  readonly nginx: string;
  readonly directory: string;
  readonly upstream: string;
  readonly http2: boolean;
  /** After so many requests a connection is closed, in good order. */
  readonly requestsPerConnection?: number;
}

/** nginx that speaks TLS, and HTTP/2 if it may, in front of a server that speaks neither. */
export async function startTlsFront(options: TlsFrontOptions): Promise<TlsFront> {
  const { nginx, directory, upstream, http2, requestsPerConnection = 1000 } = options;
  mkdirSync(directory, { recursive: true });
  makeCertificates(directory);
  const server = await startServer({
    name: 'tls-front',
    directory,
    command: async (port) => {
      const config = join(directory, 'nginx.conf');
      await writeFile(
        config,
        `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {}
http {
  log_format front '$server_protocol $connection $request_method $uri';
  access_log front.log front;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((use) => `${use}_temp_path ${use};`).join(' ')}
  client_max_body_size 0;
  keepalive_requests ${requestsPerConnection};
  server {
    listen 127.0.0.1:${port} ssl${http2 ? ' http2' : ''};
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    location / {
      proxy_pass ${upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto https;
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }
}
`,
      );
      return [nginx, '-p', directory, '-e', 'stderr', '-c', config];
    },
    ready: (port) => isListening(port),
  });
  const log = join(directory, 'front.log');
  return {
    ...server,
    host: `localhost:${server.port}`,
    ca: readFileSync(join(directory, 'ca.pem'), 'utf8'),
    requests: async () =>
      (await readFile(log, 'utf8')).split('\n').flatMap((line) => {
        const [protocol, connection] = line.split(' ');
        return protocol && connection ? [{ protocol, connection }] : [];
      }),
  };
}

/** A CA, and a certificate of its for localhost and registry.test. */
function makeCertificates(directory: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ca = ['-x509', '-days', '2', '-subj', '/CN=test CA', '-keyout', 'ca.key', '-out', 'ca.pem'];
  openssl('req', ...key, ...ca);
  openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr');
  execFileSync('sh', ['-c', 'printf "subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1" >san'], {
    cwd: directory,
  });
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
  openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem');
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
