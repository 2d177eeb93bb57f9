import { connect } from 'node:tls';

/**
 * Where a registry is asked: those in `plainHttp` speak http, and loopback hosts, as Docker has it; all others https.
 * Whoever brings a CA may mean a loopback host of its own, so that such a host is then asked whether it speaks TLS.
 */
export async function originOf(registry: string, plainHttp: readonly string[], ownCa: boolean): Promise<URL> {
  // Docker Hub's images carry one name, and its registry another.
  if (registry === 'docker.io') return new URL('https://registry-1.docker.io');
  const https = new URL(`https://${registry}`);
  const http = new URL(`http://${registry}`);
  if (plainHttp.includes(registry)) return http;
  return !isLoopback(https.hostname) || (ownCa && (await speaksTls(https))) ? https : http;
}

/** `hostname` as URL has it: IPv6 in brackets. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Whether a server answers in TLS at all; whether it is to be trusted is seen when it is asked for something. */
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
