/** A request and its answer, independent of the library that carries them. */

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is given as a function, so that a retry can start it again. */
  readonly body?: string | Uint8Array | (() => AsyncIterable<Uint8Array>);
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. The distinct values of a repeated header are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The host that answered, if redirects led to another origin. */
  readonly elsewhere?: string;
  /** Must be read to its end or cancelled by the request's signal, or the connection stays busy. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sends one request without redirects or retries. Network errors are thrown unchanged. */
export type Transport = (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;

/** Converts headers from Node's parsers. A value that was sent twice is kept once. */
export function joinedHeaders(headers: NodeJS.Dict<string | string[]>): HttpResponse['headers'] {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? [...new Set(value)].join(', ') : value]],
    ),
  );
}
