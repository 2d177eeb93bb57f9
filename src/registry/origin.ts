import { connect } from 'node:tls';
import { isLoopback } from '../base/loopback.js';
import { canonicalRegistry } from '../candidate/reference.js';

/**
 * The origin of a registry. Registries in `plainHttp` and loopback hosts use http, as in Docker; all others use https.
 * If the user gives a CA, a loopback host may use TLS, so it is probed.
 */
export async function originOf(registry: string, plainHttp: readonly string[], ownCa: boolean): Promise<URL> {
  // Docker Hub's registry is on a different host than its images' names say.
  if (canonicalRegistry(registry) === 'docker.io') return new URL('https://registry-1.docker.io');
  const https = new URL(`https://${registry}`);
  const http = new URL(`http://${registry}`);
  if (plainHttp.includes(registry)) return http;
  return !isLoopback(https.hostname) || (ownCa && (await speaksTls(https))) ? https : http;
}

/** True if the server answers a TLS handshake. The certificate is not checked here, since each request checks it. */
function speaksTls({ hostname, port }: URL): Promise<boolean> {
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port || 443), rejectUnauthorized: false, timeout: 5000 });
    const answer = (speaks: boolean) => {
      socket.destroy();
      resolve(speaks);
    };
    socket.on('secureConnect', () => answer(true));
    socket.on('timeout', () => answer(false));
    socket.on('error', () => answer(false));
  });
}
