import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Tools } from './install.js';
import { type ServerProcess, startServer } from './process.js';

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface Registry extends ServerProcess {
  /** `http://127.0.0.1:port`, or https. */
  readonly url: string;
  /** `127.0.0.1:port`, as image references begin. */
  readonly host: string;
}

export interface RegistryOptions {
  readonly tools: Tools;
  readonly directory: string;
  /** Undefined: any that is free. */
  readonly port?: number | undefined;
  /** distribution v3, whose tag listing has pages, or Debian's docker-registry 2.8, which answers it whole. */
  readonly kind?: 'distribution' | 'debian';
  /** The one user; without it everything is open. */
  readonly login?: Login;
  /** Where tokens come from, in the place of `login`. */
  readonly tokens?: TokenIssuer;
  /** Speaks https, HTTP/2 too, with this certificate. */
  readonly certificate?: Certificate;
}

/** Files of a self-signed certificate for 127.0.0.1 and localhost: it is its own CA. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** What a registry must know to send clients to a token server and to believe its tokens. */
export interface TokenIssuer {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** A JWKS file with the keys that sign; only distribution v3 reads one. */
  readonly jwks?: string;
  /** PEM certificates; tokens carry one that these sign. */
  readonly rootcertbundle?: string;
}

/** An empty registry on loopback that keeps its images in `directory` and logs each request. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { tools, directory, kind = 'distribution', certificate } = options;
  await mkdir(directory, { recursive: true });
  const program = kind === 'debian' ? tools.debianRegistry : tools.registry;
  const auth = await authConfig(options);
  const server = await startServer({
    name: `registry-${kind}`,
    directory,
    port: options.port,
    environment: { OTEL_TRACES_EXPORTER: 'none' },
    command: async (port) => {
      const config = join(directory, 'config.yml');
      // JSON is YAML.
      await writeFile(
        config,
        JSON.stringify({
          version: 0.1,
          log: { level: 'warn', accesslog: { disabled: false } },
          storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: true } },
          http: { addr: `127.0.0.1:${port}`, secret: randomBytes(16).toString('hex'), tls: certificate },
          ...auth,
        }),
      );
      return [program, 'serve', config];
    },
  });
  const host = `127.0.0.1:${server.port}`;
  return { ...server, host, url: `${certificate === undefined ? 'http' : 'https'}://${host}` };
}

/** The value of an Authorization header. */
export function basicAuthorization({ username, password }: Login): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Makes a certificate for `startRegistry`. */
export async function makeCertificate(tools: Tools, directory: string): Promise<Certificate> {
  await mkdir(directory, { recursive: true });
  const files = { certificate: join(directory, 'certificate.pem'), key: join(directory, 'key.pem') };
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=sandbox', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  await promisify(execFile)(tools.openssl, [...request, ...names, '-keyout', files.key, '-out', files.certificate]);
  return files;
}

async function authConfig({ directory, login, tokens }: RegistryOptions): Promise<object> {
  if (tokens !== undefined) {
    return { auth: { token: tokens } };
  }
  if (login === undefined) return {};
  const path = join(directory, 'htpasswd');
  await writeFile(path, `${login.username}:${bcrypt(login.password)}\n`, { mode: 0o600 });
  return { auth: { htpasswd: { realm: 'sandbox', path } } };
}

/** A bcrypt hash of the lowest cost, by the C library's crypt: registries take no other kind, and Perl is everywhere. */
function bcrypt(password: string): string {
  const salt = randomBytes(32).toString('hex').slice(0, 22);
  const script = `print crypt($ENV{PASSWORD}, '$2y$04$${salt}')`;
  const hash = execFileSync('perl', ['-e', script], { env: { PASSWORD: password }, encoding: 'utf8' });
  if (!hash.startsWith('$2y$')) throw new Error('this C library has no bcrypt');
  return hash;
}
