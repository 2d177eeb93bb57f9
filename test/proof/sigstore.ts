import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from '@sigstore/mock';

/** A Fulcio and a Rekor of sigstore-js's own mock, over HTTP. */
export interface Sigstore {
  readonly url: URL;
  /** What `cosign trusted-root create` would write. */
  readonly trustedRoot: string;
  /** How many signatures were asked for. */
  readonly asked: () => number;
  stop(): void;
}

/** `clock` is the time at which certificates are issued; undefined: now. */
export async function startSigstore(clock?: Date): Promise<Sigstore> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let count = 0;
  const server: Server = createServer((request, response) => {
    void answer(request).then(({ statusCode, body, type }) => {
      response.writeHead(statusCode, { 'content-type': type });
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(`http://127.0.0.1:${address.port}`);

  const ctLog = await initializeCTLog(keys, clock);
  const ca = await initializeCA(keys, ctLog, clock);
  const tlog = await initializeTLog(url.origin, keys);
  const handlers = [fulcioHandler(ca), rekorHandler(tlog)];

  async function answer(request: IncomingMessage) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    count += 1;
    const handler = handlers.find(({ path }) => path === request.url);
    if (handler === undefined) return { statusCode: 404, body: '', type: 'text/plain' };
    const { statusCode, response, contentType } = await handler.fn(asLogged(Buffer.concat(chunks).toString()));
    const body = typeof response === 'string' ? response : Buffer.from(response.buffer);
    return { statusCode, body, type: contentType ?? 'text/plain' };
  }

  const start = '2020-01-01T00:00:00Z';
  const keyOf = (raw: Buffer) => ({
    rawBytes: raw.toString('base64'),
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
    validFor: { start },
  });
  const log = (raw: Buffer) => ({
    baseUrl: url.origin,
    hashAlgorithm: 'SHA2_256',
    publicKey: keyOf(raw),
    logId: { keyId: createHash('sha256').update(raw).digest('base64') },
  });
  const root = Buffer.from(ca.rootCertificate.buffer).toString('base64');
  const trustedRoot = JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(tlog.publicKey)],
    ctlogs: [log(ctLog.publicKey)],
    certificateAuthorities: [
      { uri: url.origin, certChain: { certificates: [{ rawBytes: root }] }, validFor: { start } },
    ],
    timestampAuthorities: [],
  });
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url, trustedRoot, asked: () => count, stop };
}

interface ProposedEntry {
  readonly kind?: string;
  readonly spec: { readonly proposedContent: { readonly envelope: string; readonly verifiers: readonly string[] } };
}

/** Rekor logs hashes and the signature of a DSSE envelope (rekor, pkg/types/dsse); the mock would log the envelope. */
function asLogged(body: string): string {
  const entry: ProposedEntry = JSON.parse(body);
  if (entry.kind !== 'dsse') return body;
  const { envelope, verifiers } = entry.spec.proposedContent;
  const hash = (bytes: Buffer) => ({ algorithm: 'sha256', value: createHash('sha256').update(bytes).digest('hex') });
  const { payload, signatures }: { payload: string; signatures: { sig: string }[] } = JSON.parse(envelope);
  const spec = {
    envelopeHash: hash(Buffer.from(envelope)),
    payloadHash: hash(Buffer.from(payload, 'base64')),
    signatures: signatures.map(({ sig }, index) => ({ signature: sig, verifier: verifiers[index] })),
  };
  return JSON.stringify({ ...entry, spec });
}

/** An OIDC token of a workflow; this Fulcio believes any. */
export function tokenOf(subject: string, issuer: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: subject, iss: issuer, aud: 'sigstore' })}.x`;
}
