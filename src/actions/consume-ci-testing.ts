import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { errorLine, UserError } from '../base/errors.js';
import { repositorySchema } from '../candidate/reference.js';
import { isPromotedLabel, labelSchema } from '../ledger/names.js';
import { defineAction } from '../runner/action.js';
import { choice, flag, lineSchema, list, optional, required, withDefault } from '../runner/inputs.js';
import { noLabel, readCandidate } from '../store/consume.js';
import {
  extraVars,
  placeholders,
  rdoVariables,
  setVariables,
  type Values,
  variableTemplateSchema,
} from '../store/extra-vars.js';
import { requireSigned } from '../upkeep/verify-signed.js';
import { candidateValues } from './shared/candidate-values.js';
import { smallApis } from './shared/http.js';
import { registryInputs, withRegistry } from './shared/registry-inputs.js';
import { setOutputs } from './shared/set-outputs.js';
import { readableSchema, readerInputs, withReader } from './shared/store-inputs.js';
import { readAuthority, verifyInputs } from './shared/verify-inputs.js';

const { 'plain-http': plainHttp, 'token-hosts': tokenHosts, 'ca-file': caFile } = registryInputs;

/** The repository of RDO's tags without a digest. */
const RDO_IMAGE = v.parse(repositorySchema, 'quay.io/ceph/daemon');

export const action = defineAction({
  description: 'Reads which image a test job must test, with its digest',
  needs:
    'read access to the store at `url`, which over HTTP needs no login. With `verify`, also to the registry that the image was promoted to.',
  inputs: {
    url: required(
      'The store that the label is in: the `https://` URL of its directory, or an address as for `server` of evaluate-and-promote, such as `git`',
      readableSchema,
    ),
    label: withDefault(
      'The label: of candidates (it ends in `-testing`), or of what is promoted, which is read from its ledger',
      'ceph-ci-testing',
      labelSchema,
    ),
    'if-missing': choice('What to do if the label does not exist yet.', ['error', 'ignore'], 'error'),
    'extra-vars-file': optional('A file to write Ansible variables to, for `ansible-playbook -e @file`', lineSchema),
    'extra-vars': list(
      `The variables in that file, as \`name=template\`, one per line, where ${placeholders.map((name) => `\`{${name}}\``).join(', ')} stand for what was read; empty: the names that RDO's jobs read, \`cephadm_repository\` and \`openstack_repository\`, and for a set \`ceph_set\` and \`ceph_set_digest\``,
      variableTemplateSchema,
    ),
    'allow-unpinned': flag(
      "Accept a tag whose digest the image server does not have, as RDO's tools leave it",
      'false',
    ),
    image: list(
      'The only repositories whose images are accepted, one per line; empty: any. With `allow-unpinned`, a tag without a digest is taken to be in the first one, or in `quay.io/ceph/daemon` if this is empty',
      repositorySchema,
    ),
    branch: withDefault('The OpenStack branch, for `openstack-repository`', 'master', lineSchema),
    'cephadm-repository-template': withDefault(
      'The URL of cephadm for the same Ceph release; `<flavor>` is replaced',
      'https://buildlogs.centos.org/centos/9-stream/storage/x86_64/ceph-<flavor>/',
      lineSchema,
    ),
    'openstack-repository-template': withDefault(
      'The URL of the OpenStack packages; `<branch>` is replaced',
      'https://trunk.rdoproject.org/centos9-<branch>/current-tripleo/',
      lineSchema,
    ),
    ...readerInputs,
    ...verifyInputs,
    'plain-http': plainHttp,
    'token-hosts': tokenHosts,
    'ca-file': caFile,
  },
  outputs: {
    reference: 'The candidate, as `image:tag@digest`; without the digest if it is not known',
    tag: 'Its tag',
    digest: 'Its digest; empty if it is not known',
    ...setOutputs,
    namespace: 'Registry and namespace, as in `quay.io/ceph`',
    'image-name': 'Name of the image, as in `daemon`',
    flavor: 'The Ceph release that the tag names; empty if it names none',
    'tags-read': 'How many tags the image had when the candidate was found; 0 if that is not known',
    'cephadm-repository': 'The URL of cephadm for this Ceph release; empty without flavor',
    'openstack-repository': 'The URL of the OpenStack packages of the branch',
  },
  async run(inputs, { log, context }) {
    const { label } = inputs;
    const authority = await readAuthority(inputs, context.workspace);
    if (authority !== undefined && !isPromotedLabel(label)) {
      throw new UserError(
        `input verify: set, but ${label} is a label of candidates, and only what is promoted is signed`,
      );
    }
    const candidate = await withReader(inputs.url, inputs, await smallApis(log, inputs), log, async (store) => {
      const found = await readCandidate({
        store,
        label,
        images: inputs.image,
        unpinnedRepository: inputs['allow-unpinned'] ? (inputs.image[0] ?? RDO_IMAGE) : undefined,
      });
      if (found === undefined && inputs['if-missing'] === 'error') throw noLabel(store, label);
      if (found !== undefined && authority !== undefined) {
        if (found.digest === undefined) throw new UserError('input verify: an image without its digest is not signed');
        const { digest } = found;
        // The ledger names the registry, so it gets no login but one that `docker login` stored for it.
        const by = await withRegistry(inputs, log, {}, (registry) =>
          requireSigned(store, registry, label, digest, authority),
        );
        log.info(`${digest}: its promotion is signed by ${by}`);
      }
      return found;
    });
    if (candidate === undefined) {
      return { outputs: {}, summary: `There is no label \`${label}\` yet.` };
    }
    const known = candidateValues(candidate);
    const { reference, flavor } = known;
    if (candidate.digest === undefined)
      log.warning(
        `${reference}: its digest is not known, so the image that is tested may differ from the one that is promoted`,
      );
    const values: Values = {
      ...known,
      'cephadm-repository': flavor === '' ? '' : inputs['cephadm-repository-template'].replaceAll('<flavor>', flavor),
      'openstack-repository': inputs['openstack-repository-template'].replaceAll('<branch>', inputs.branch),
    };
    const file = inputs['extra-vars-file'];
    if (file !== undefined) {
      const usual = candidate.companions.length === 0 ? rdoVariables : [...rdoVariables, ...setVariables];
      const templates = inputs['extra-vars'].length === 0 ? usual : inputs['extra-vars'];
      const text = extraVars(templates, values);
      await write(path.resolve(context.workspace, file), text);
    }
    const { version: _, repository: __, ...outputs } = values;
    return {
      outputs: { ...outputs, 'tags-read': String(candidate.tagsRead) },
      summary: `To test: \`${reference}\`${file === undefined ? '' : ` (Ansible variables in \`${file}\`)`}.`,
    };
  },
});

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new UserError(`input extra-vars-file: ${errorLine(error)}`);
  }
}
