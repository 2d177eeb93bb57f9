import { createHttp, defaultPolicy, type HttpPolicy } from '../http/policy.js';
import { undiciTransport } from '../http/undici-transport.js';
import { attach, detach, listAttached, readAttached } from './attach.js';
import { copyImage } from './copy.js';
import { grantsFor, prepareAll, toPlan, withoutConflicts } from './copy-plan.js';
import {
  deleteManifest,
  findManifest,
  getConfig,
  getManifest,
  putManifest,
  recallManifest,
  resolve,
} from './manifests.js';
import { checkPush } from './push-right.js';
import type { CopiedImage, Registry, RegistryOptions } from './registry.js';
import { createSession } from './session.js';
import { listTags } from './tags.js';
import type { Grant } from './tokens.js';

/** A copy makes a hundred requests to a busy server, so each gets more patience than a single small one. */
const policy: HttpPolicy = { ...defaultPolicy, attempts: 10, totalMs: 300_000 };

export function createRegistry(options: RegistryOptions): Registry {
  const { account, plainHttp, tokenHosts = [], ca, clock, log } = options;
  const { transport, close } = undiciTransport({ withoutTls: 'use-plain-http', ...(ca !== undefined && { ca }) });
  const http = createHttp({ transport, policy, clock, log });
  const session = createSession({ http, clock, account, plainHttp, tokenHosts, ownCa: ca !== undefined });

  return {
    repository: (repository) => {
      const access = (actions: Grant['actions']) => session.access([{ repository, actions }]);
      return {
        listTags: (listOptions) => listTags(access('pull'), repository, listOptions, log),
        resolve: (tag) => resolve(access('pull'), repository, tag),
        findManifest: (reference) => findManifest(access('pull'), repository, reference),
        getManifest: (reference) => getManifest(access('pull'), repository, reference),
        getConfig: (manifest) => getConfig(access('pull'), repository, manifest),

        async moveTag(tag, digest, lastLook) {
          const manifest = await recallManifest(access('pull,push'), repository, digest);
          await lastLook?.();
          await putManifest(access('pull,push'), repository, tag, manifest);
        },

        listAttached: (subject, artifactType) => listAttached(access('pull'), repository, subject, artifactType),
        readAttached: (artifact, artifactType, maxBytes) =>
          readAttached(access('pull'), repository, artifact, artifactType, maxBytes),
        attach: (subject, attachment) => attach(access('pull,push'), repository, subject, attachment),
        detach: (subject, artifacts) => detach(access('pull,push,delete'), repository, subject, artifacts),
        deleteTag: (tag) => deleteManifest(access('pull,push,delete'), repository, tag),
        checkPush: () => checkPush(access('pull,push'), repository),
      };
    },

    async planCopy(copies, copyOptions) {
      return (await prepareAll(session.access(grantsFor(copies, 'pull')), copies, copyOptions, log)).map(toPlan);
    },

    async copy(copies, copyOptions) {
      const access = session.access(grantsFor(copies, 'pull,push'));
      const prepared = withoutConflicts(await prepareAll(access, copies, copyOptions, log));
      const report: CopiedImage[] = [];
      for (const one of prepared) {
        report.push(await copyImage(access, one, log));
      }
      return report;
    },

    close,
  };
}
