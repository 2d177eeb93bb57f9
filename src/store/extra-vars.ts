import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import type { Repository } from '../candidate/reference.js';

/** One Ansible variable: its name, and a text in which `{placeholder}` stands for a value of the candidate. */
export interface VariableTemplate {
  readonly name: string;
  readonly template: string;
}

/** The names that `{placeholder}` can have. A value that is not known is empty. */
export const placeholders = [
  'reference',
  'repository',
  'namespace',
  'image-name',
  'tag',
  'digest',
  'flavor',
  'version',
  'set',
  'set-digest',
  'cephadm-repository',
  'openstack-repository',
] as const;
export type Values = Readonly<Record<(typeof placeholders)[number], string>>;

/** The variables that RDO's jobs read: the image, and the repositories of their packages. */
export const rdoVariables: readonly VariableTemplate[] = [
  { name: 'docker_ceph_namespace', template: '{namespace}' },
  { name: 'docker_ceph_image', template: '{image-name}' },
  { name: 'docker_ceph_tag', template: '{tag}' },
  { name: 'ceph_daemon_tag', template: '{tag}' },
  { name: 'docker_ceph_digest', template: '{digest}' },
  { name: 'cephadm_repository', template: '{cephadm-repository}' },
  { name: 'openstack_repository', template: '{openstack-repository}' },
];

/** The variables for a set. */
export const setVariables: readonly VariableTemplate[] = [
  { name: 'ceph_set', template: '{set}' },
  { name: 'ceph_set_digest', template: '{set-digest}' },
];

const PLACEHOLDER = /\{([a-z-]*)\}/g;

/** Parses `name=template`. Refuses a name that Ansible would not accept, and an unknown placeholder. */
export const variableTemplateSchema = v.pipe(
  v.string(),
  v.regex(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
    /^[A-Za-z_]\w{0,127}=[^\u0000-\u001f\u007f]{0,4096}$/,
    (issue) =>
      `${JSON.stringify(issue.input.slice(0, 80))} is not \`name=template\` with the name of an Ansible variable`,
  ),
  v.transform((line): VariableTemplate => {
    const end = line.indexOf('=');
    return { name: line.slice(0, end), template: line.slice(end + 1) };
  }),
  v.check(
    ({ template }) => unknownPlaceholder(template) === undefined,
    ({ input }) => describeUnknown(input.template),
  ),
);

/** A text on one line with known placeholders only. */
export const templateSchema = v.pipe(
  v.string(),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  v.regex(/^[^\u0000-\u001f\u007f]{1,4096}$/, 'is not one line of text'),
  v.check(
    (template) => unknownPlaceholder(template) === undefined,
    ({ input }) => describeUnknown(input),
  ),
);

function unknownPlaceholder(template: string): string | undefined {
  const unknown = [...template.matchAll(PLACEHOLDER)].find(([, name]) => !placeholders.some((known) => known === name));
  return unknown?.[0];
}

function describeUnknown(template: string): string {
  const known = placeholders.map((name) => `{${name}}`).join(', ');
  return `${unknownPlaceholder(template)} is unknown; there are ${known}`;
}

/**
 * Variables as YAML for `ansible-playbook -e @file`. All values are quoted, so that a tag such as 1.10 stays text.
 * Throws a UserError if a name is there twice.
 */
export function extraVars(templates: readonly VariableTemplate[], values: Values): string {
  const names = templates.map(({ name }) => name);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) throw new UserError(`${double} is named twice`);
  const lines = templates.map(({ name, template }) => `${name}: ${JSON.stringify(fillTemplate(template, values))}\n`);
  return `---\n${lines.join('')}`;
}

/** A text in which each `{placeholder}` is replaced. */
export function fillTemplate(template: string, values: Values): string {
  return template.replace(PLACEHOLDER, (_, name: keyof Values) => values[name]);
}

/** `quay.io/ceph` of `quay.io/ceph/daemon`. */
export function namespaceOf({ registry, path }: Repository): string {
  return [registry, ...path.split('/').slice(0, -1)].join('/');
}

/** `daemon` of `quay.io/ceph/daemon`. */
export function imageNameOf({ path }: Repository): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
