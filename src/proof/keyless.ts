import { verify, X509Certificate } from 'node:crypto';
import { errorLine, oneLine, ServiceError, UserError } from '../base/errors.js';
import { BUNDLE_TYPE, type Opened } from './bundle.js';
import { preAuthEncoding, type Signer } from './signer.js';
import { parseStatement, STATEMENT_MEDIA_TYPE } from './statement.js';

export interface KeylessOptions {
  /** Issues a certificate for a few minutes. */
  readonly fulcioUrl: URL;
  /** The log that shows when it was used. */
  readonly rekorUrl: URL;
  /** Fetches an OIDC token of the run. */
  readonly fetchToken: () => Promise<string>;
  /** Unix seconds. */
  readonly now: () => number;
}

/** In seconds. GitHub's tokens last at least five minutes. */
const TOKEN_LASTS = 4 * 60;
/** In milliseconds, for each request to Fulcio and Rekor. */
const TIMEOUT = 30_000;

/** Signs with the identity of the run: a certificate from Fulcio, and an entry in Rekor. */
export function keylessSigner({ fulcioUrl, rekorUrl, fetchToken, now }: KeylessOptions): Signer {
  let token: { readonly text: string; readonly since: number } | undefined;
  const ready = async () => {
    if (token === undefined || now() - token.since > TOKEN_LASTS) token = { text: await fetchToken(), since: now() };
    return token.text;
  };
  return {
    who: `the identity of this run, certified by ${fulcioUrl.host}`,
    ready: async () => void (await ready()),
    async sign(statement) {
      const [{ DSSEBundleBuilder, FulcioSigner, RekorWitness }, { bundleToJSON }] = await Promise.all([
        import('@sigstore/sign'),
        import('@sigstore/bundle'),
      ]);
      const limits = { timeout: TIMEOUT, retry: 2 };
      const builder = new DSSEBundleBuilder({
        signer: new FulcioSigner({
          fulcioBaseURL: originOf(fulcioUrl),
          identityProvider: { getToken: ready },
          ...limits,
        }),
        // The statement itself stays out of the log: an entry of this type has hashes only.
        witnesses: [new RekorWitness({ rekorBaseURL: originOf(rekorUrl), entryType: 'dsse', ...limits })],
      });
      try {
        const bundle = await builder.create({ data: statement, type: STATEMENT_MEDIA_TYPE });
        return Buffer.from(JSON.stringify(bundleToJSON(bundle)));
      } catch (error) {
        throw new ServiceError('server-error', `keyless signing failed: ${oneLine(errorLine(error), 300)}`, {
          hint: 'sign-off',
        });
      }
    },
    open: async (bytes) => openByItsCertificate(bytes),
  };
}

function originOf(url: URL): string {
  return url.href.replace(/\/$/, '');
}

/**
 * Opens a bundle whose signature fits its own certificate. The certificate's owner and issuer are not checked: a run
 * only wants to know whether its signature is already there, and readers verify it themselves.
 */
async function openByItsCertificate(bytes: Uint8Array): Promise<Opened> {
  const { bundleFromJSON } = await import('@sigstore/bundle');
  try {
    const { content, verificationMaterial, mediaType } = bundleFromJSON(
      JSON.parse(Buffer.from(bytes).toString('utf8')),
    );
    if (content.$case !== 'dsseEnvelope' || verificationMaterial.content.$case !== 'certificate') {
      return { problem: 'it is not signed by a certificate' };
    }
    const { payload, signatures } = content.dsseEnvelope;
    const certificate = new X509Certificate(verificationMaterial.content.certificate.rawBytes);
    const [{ sig } = { sig: Buffer.alloc(0) }] = signatures;
    const statement = parseStatement(payload);
    const fits = verify('sha256', preAuthEncoding(payload), certificate.publicKey, sig);
    if (statement === undefined || !fits || mediaType !== BUNDLE_TYPE) return { problem: 'its signature does not fit' };
    return { statement, by: oneLine(certificate.subjectAltName ?? 'a certificate', 200) };
  } catch {
    return { problem: 'it is not a Sigstore bundle, or it is incomplete' };
  }
}

/** Fetches the token that the forge gives the job, for Fulcio alone. */
export async function fetchForgeToken(): Promise<string> {
  const { CIContextProvider } = await import('@sigstore/sign');
  try {
    return await new CIContextProvider('sigstore').getToken();
  } catch {
    throw new UserError('the forge gives this job no OIDC token: it needs the permission `id-token: write`', {
      hint: 'sign-off',
    });
  }
}
