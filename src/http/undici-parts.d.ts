/**
 * The parts of undici that the transport uses. Importing undici's index takes three times as long, since it loads
 * fetch, WebSocket, caches and more; it exports no types for these parts.
 */
declare module 'undici/lib/core/connect.js' {
  export { buildConnector as default } from 'undici';
}
declare module 'undici/lib/dispatcher/client.js' {
  export { Client as default } from 'undici';
}
declare module 'undici/lib/dispatcher/pool.js' {
  export { Pool as default } from 'undici';
}
declare module 'undici/lib/api/api-request.js' {
  import type { Dispatcher } from 'undici';

  /** undici's own types leave out the iterable bodies that its documentation names. */
  interface Options extends Omit<Dispatcher.RequestOptions, 'body'> {
    readonly body: string | Uint8Array | AsyncIterable<Uint8Array> | null;
  }
  /** undici's index makes this the method `request` of every dispatcher. */
  export default function request(this: Dispatcher, options: Options): Promise<Dispatcher.ResponseData>;
}
