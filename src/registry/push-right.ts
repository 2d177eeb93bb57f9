import type { Repository } from '../candidate/reference.js';
import type { Access } from './session.js';

const NO_UPLOAD = '00000000-0000-0000-0000-000000000000';
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Throws where we may not push to a repository. Creates nothing: it sends a chunk to an upload that there is not, and
 * who may push is told so, while others are refused (OCI distribution spec v1.1, "Pushing a blob in chunks").
 */
export async function checkPush(access: Access, repository: Repository): Promise<void> {
  await access.fetch({
    repository,
    kind: 'blob',
    method: 'PATCH',
    path: `blobs/uploads/${NO_UPLOAD}`,
    headers: { 'content-type': 'application/octet-stream', 'content-range': '0-0' },
    body: '0',
    expect: [400, 404, 416],
    maxBytes: MAX_ANSWER_BYTES,
  });
}
