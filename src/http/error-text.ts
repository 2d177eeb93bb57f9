import * as v from 'valibot';
import { oneLine } from '../base/errors.js';

/** What follows is not looked at: a hostile body costs no more than an honest one. */
const LOOKED_AT = 4096;
const SHOWN = 200;

const messageSchema = v.pipe(v.string(), v.parseJson(), v.object({ message: v.string() }));

/**
 * What an error's body says, in one short line: the `message` of JSON, or the title of HTML. Empty for any other body:
 * a server may echo what it was sent.
 */
export function errorText(body: string): string {
  const start = body.slice(0, LOOKED_AT);
  const json = v.safeParse(messageSchema, start);
  if (json.success) return oneLine(json.output.message, SHOWN);
  return oneLine(/<title>([^<]{0,500})<\/title>/i.exec(start)?.[1] ?? '', SHOWN);
}
