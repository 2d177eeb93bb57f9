import type { Repository } from '../candidate/reference.js';
import type { Access } from './session.js';

const NO_UPLOAD = '00000000-0000-0000-0000-000000000000';
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Checks the right to push without creating anything: sends a chunk to an upload that does not exist (OCI distribution
 * spec v1.1, "Pushing a blob in chunks"). True if the answer proves the right, false if it proves nothing, since not
 * every registry accepts chunks.
 *
 * @throws ServiceError if the registry refuses the account.
 */
export async function checkPush(access: Access, repository: Repository): Promise<boolean> {
  const request = {
    repository,
    kind: 'blob',
    method: 'PATCH',
    path: `blobs/uploads/${NO_UPLOAD}`,
    headers: { 'content-type': 'application/octet-stream', 'content-range': '0-0' },
    body: '0',
    expect: 'any',
    optional: true,
  } as const;
  const answer = await access.fetch({ ...request, maxBytes: MAX_ANSWER_BYTES });
  if (answer.status === 401 || answer.status === 403) throw await access.refusal(request, answer);
  return [202, 400, 404, 416].includes(answer.status);
}
