import * as v from 'valibot';
import { oneLine, ServiceError, type ServiceErrorKind } from '../base/errors.js';
import { kindOfStatus } from '../http/status.js';

/** OCI distribution spec v1.1, "Error Codes". */
const errorsSchema = v.object({
  errors: v.pipe(
    v.array(v.object({ code: v.string(), message: v.optional(v.string(), ''), detail: v.optional(v.unknown()) })),
    v.minLength(1),
  ),
});

/** What a registry says about a request that it did not serve, where it says it in the spec's form. */
export interface RegistryFault {
  readonly code: string;
  readonly message: string;
}

export function parseFault(body: string): RegistryFault | undefined {
  try {
    const [first] = v.parse(errorsSchema, JSON.parse(body)).errors;
    return first === undefined ? undefined : { code: oneLine(first.code, 100), message: oneLine(first.message, 300) };
  } catch {
    return undefined;
  }
}

/** The error for an answer that was not expected; `what` names the request, as in `GET quay.io/ceph/daemon: tags`. */
export function failure(what: string, status: number, body: string, inputs: string): ServiceError {
  const fault = parseFault(body);
  const said = fault === undefined ? `${status}` : `${status} ${fault.code}${fault.message && ` (${fault.message})`}`;
  const kind = kindOf(status, fault?.code);
  return new ServiceError(kind, `${what}: the registry answered ${said}${hint(kind, inputs)}`);
}

function kindOf(status: number, code: string | undefined): ServiceErrorKind {
  if (code === 'TAG_IMMUTABLE') return 'conflict';
  return code === 'UNSUPPORTED' ? 'unsupported' : kindOfStatus(status);
}

function hint(kind: ServiceErrorKind, inputs: string): string {
  if (kind === 'unauthorized') return `; check ${inputs} (a repository that is private or not there answers so too)`;
  if (kind === 'forbidden') return `; the account of ${inputs} lacks the right`;
  return '';
}
