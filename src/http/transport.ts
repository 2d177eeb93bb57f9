/** One request and its answer, the same whatever library carries them. */

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
  /** Names in lower case; of a repeated header the values are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Must be read to its end or cancelled by the request's signal, or the connection stays busy. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sends one request, follows nothing, retries nothing. Throws what the network throws. */
export type Transport = (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;

/** Headers as Node's parsers give them, as an HttpResponse has them. */
export function joinedHeaders(headers: NodeJS.Dict<string | string[]>): HttpResponse['headers'] {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}
