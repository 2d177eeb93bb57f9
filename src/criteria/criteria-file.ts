import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { parseDocument } from 'yaml';
import { errorLine, UserError } from '../base/errors.js';
import { durationSchema, parseUser } from '../base/schema.js';
import { type Repository, repositorySchema, type Tag, tagSchema } from '../candidate/reference.js';
import { jobNameSchema } from './job-result.js';

/** The jobs that must have passed before a label moves. */
export interface Criteria {
  readonly label: Tag;
  /** The whole file, unchanged. */
  readonly content: string;
  /** The hash of `content`. */
  readonly sha256: string;
  /** One job of each group must have passed. A required job is a group of its own. No job is in two groups. */
  readonly requirements: readonly (readonly string[])[];
  /** The signed statements among the requirements. */
  readonly attestations: readonly Attestation[];
  /** In seconds; undefined if a pass never expires. */
  readonly maxAge: number | undefined;
  /** Undefined if everyone is trusted. */
  readonly trustedUsers: readonly string[] | undefined;
  readonly waivers: readonly Waiver[];
  /** Undefined if the candidate need not have been promoted elsewhere. */
  readonly promotedIn: PromotedIn | undefined;
  readonly acrossHashes: boolean;
  readonly bareTags: boolean;
}

/** A requirement on another ledger: the candidate has been promoted under that label for some time. */
export interface PromotedIn {
  /** The name of this requirement in explanations, waivers and forces, as in `promoted-in:staging`. */
  readonly job: string;
  readonly label: Tag;
  /** In seconds. */
  readonly for: number;
  /** The store that the label is in, as written; undefined for the store that is promoted to. */
  readonly url: string | undefined;
}

/** A strictObject whose errors speak of keys. */
export const mapping = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  v.strictObject(entries, (issue) => {
    if (issue.expected === 'never') return `unknown key; known are ${Object.keys(entries).join(', ')}`;
    return issue.expected === 'Object' ? `${issue.received} is not a mapping` : `the key ${issue.expected} is missing`;
  });

const lineSchema = v.pipe(v.string(), v.regex(/^[^\S\r\n]*\S[^\r\n]*$/, 'is not one line of text'));

/** A calendar day, such as `2026-12-01`. YAML 1.2 has no dates, so it arrives as text. */
export const daySchema = v.pipe(
  v.string(),
  v.isoDate((issue) => `${issue.received} is not a date such as 2026-12-01`),
  v.check((day) => new Date(day).toJSON()?.startsWith(day) === true, 'is not a day of the calendar'),
);

const waiverSchema = mapping({
  job: v.pipe(jobNameSchema, v.description('The job that need not pass')),
  until: v.pipe(daySchema, v.description('The last day of the waiver, in UTC; afterwards it is an error')),
  reason: v.pipe(lineSchema, v.description('The reason')),
  issue: v.exactOptional(v.pipe(lineSchema, v.description('The issue in which it is worked on'))),
});
export type Waiver = v.InferOutput<typeof waiverSchema>;

const nameSchema = v.pipe(v.string(), v.regex(/^[!-~]{1,256}$/, 'is not 1 to 256 characters of ASCII without blanks'));

const attestationSchema = v.pipe(
  mapping({
    type: v.pipe(nameSchema, v.description('The type of its predicate, such as `https://slsa.dev/provenance/v1`')),
    name: v.exactOptional(
      v.pipe(nameSchema, v.description('What waivers, `skip-jobs` and explanations call it; `type` if absent')),
    ),
    key: v.exactOptional(
      v.pipe(
        v.string(),
        v.startsWith('-----BEGIN PUBLIC KEY-----', 'is not a public key in PEM'),
        v.description(
          'The public key that must have signed it, in PEM: EC P-256 or Ed25519. Several may follow each other',
        ),
      ),
    ),
    issuer: v.exactOptional(v.pipe(lineSchema, v.description('Instead of `key`: the OIDC issuer of the signer'))),
    identity: v.exactOptional(
      v.pipe(
        lineSchema,
        v.description('With `issuer`: the subject of the certificate, such as the URL of a workflow with its ref'),
      ),
    ),
    repositories: v.exactOptional(
      v.pipe(
        v.array(
          v.pipe(
            v.string(),
            v.check((text) => v.is(repositorySchema, text), 'is not a repository'),
          ),
        ),
        v.maxLength(10, 'has more than 10'),
        v.description("Other repositories, besides the candidate's own, where it may be attached to the same digest"),
      ),
    ),
  }),
  v.check(
    ({ key, issuer, identity }) =>
      key === undefined
        ? issuer !== undefined && identity !== undefined
        : issuer === undefined && identity === undefined,
    'needs either key, or issuer and identity',
  ),
);

/** A signed statement about the candidate's digest that must be there. */
export interface Attestation {
  readonly name: string;
  readonly type: string;
  /** The keys in PEM, or the identity, whose signature counts. */
  readonly by: { readonly keys: string } | { readonly issuer: string; readonly identity: string };
  readonly repositories: readonly Repository[];
}

function toAttestation({
  type,
  name = type,
  key,
  issuer = '',
  identity = '',
  repositories = [],
}: v.InferOutput<typeof attestationSchema>): Attestation {
  return {
    name,
    type,
    by: key === undefined ? { issuer, identity } : { keys: key },
    repositories: repositories.map((text) => v.parse(repositorySchema, text)),
  };
}

const jobsSchema = v.array(jobNameSchema);

const keysSchema = mapping({
  required: v.exactOptional(v.pipe(jobsSchema, v.description('Each of these jobs must have passed'))),
  'any-of': v.exactOptional(
    v.pipe(
      v.array(v.pipe(jobsSchema, v.minLength(1, 'is empty'))),
      v.description('One job of each of these groups must have passed'),
    ),
  ),
  attestations: v.exactOptional(
    v.pipe(
      v.array(attestationSchema),
      v.maxLength(20, 'has more than 20'),
      v.description('Each of these signed statements about the digest must be attached, besides the jobs'),
    ),
  ),
  'max-age': v.exactOptional(
    v.pipe(
      v.string(),
      v.description('How long a pass counts, such as `14 days`; a failure never ages'),
      durationSchema,
      v.minValue(1, 'must be longer than zero'),
    ),
  ),
  'trusted-users': v.exactOptional(
    v.pipe(
      v.array(lineSchema),
      v.minLength(1, 'is empty: nobody could report'),
      v.description("The users of DLRN whose votes count; if absent, everyone's do"),
    ),
  ),
  'promoted-in': v.exactOptional(
    v.pipe(
      mapping({
        label: v.pipe(tagSchema, v.description('The other promoted label')),
        for: v.pipe(
          v.string(),
          v.description('How long it must have been promoted there, such as `7 days`'),
          durationSchema,
          v.minValue(1, 'must be longer than zero'),
        ),
        url: v.exactOptional(
          v.pipe(
            lineSchema,
            v.description('The store that the label is in, as in `url` of consume-ci-testing; this store if absent'),
          ),
        ),
      }),
      v.description(
        'The candidate must have been promoted under another label; waived and skipped as `promoted-in:<label>`',
      ),
    ),
  ),
  waivers: v.exactOptional(
    v.pipe(v.array(waiverSchema), v.description('Jobs that need not pass for some time, each with a reason')),
  ),
  'across-hashes': v.exactOptional(
    v.pipe(v.boolean(), v.description('Results on different aggregate hashes add up; by default they do not')),
  ),
  'bare-tags': v.exactOptional(
    v.pipe(v.boolean(), v.description('Results that name a tag without its digest count; by default they do not')),
  ),
});
type LabelCriteria = v.InferOutput<typeof keysSchema>;

const soundness = v.rawCheck<LabelCriteria>(({ dataset, addIssue }) => {
  const problem = dataset.typed ? problemOf(dataset.value) : undefined;
  if (problem !== undefined) addIssue({ message: problem });
});

function problemOf(criteria: LabelCriteria): string | undefined {
  const { required = [], 'any-of': groups = [], attestations = [], waivers = [], 'promoted-in': goal } = criteria;
  const statements = attestations.map(({ type, name = type }) => name);
  const jobs = [...required, ...groups.flat(), ...statements, ...(goal === undefined ? [] : [nameOf(goal)])];
  if (jobs.length === 0) return 'no job is required: everything would be promoted';
  if (jobs.length > MAX_JOBS) return `more than ${MAX_JOBS} jobs`;
  const double = firstDouble(jobs);
  if (double !== undefined) return `${double} is named twice`;
  const waived = waivers.map(({ job }) => job);
  const doubleWaiver = firstDouble(waived);
  if (doubleWaiver !== undefined) return `${doubleWaiver} is waived twice`;
  const stray = waived.find((job) => !jobs.includes(job));
  if (stray !== undefined) return `${stray} is waived, but not required`;
  if (jobs.every((job) => waived.includes(job))) return 'every job is waived: everything would be promoted';
  return undefined;
}

/** Has no blank in it, since a force names the jobs that it skips in one line. */
function nameOf({ label }: Pick<PromotedIn, 'label'>): string {
  return `promoted-in:${label}`;
}

function firstDouble(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}

const labelSchema = v.pipe(keysSchema, soundness);

const plainSchema = v.pipe(
  jobsSchema,
  v.description("RDO's plain form: a list of required jobs"),
  v.transform((required): LabelCriteria => ({ required })),
  soundness,
);

/** A whole criteria file, for editors: labels, each with its criteria. */
export const criteriaFileSchema = v.record(tagSchema, v.union([labelSchema, plainSchema]));

/** Parses by the form that a label uses, so that errors speak only of that form. */
const parsedFileSchema = v.record(
  tagSchema,
  v.lazy((criteria) => (Array.isArray(criteria) ? plainSchema : labelSchema)),
);

/**
 * A label in the configuration of RDO's promoter (rdo-infra/ci-config, dlrnapi_promoter/config_environments): a
 * required job and its alternatives are a group, of which one must have passed.
 */
const rdoLabelSchema = v.pipe(
  mapping({
    candidate_label: v.nullish(v.string()),
    criteria: jobsSchema,
    alternative_criteria: v.nullish(v.record(jobNameSchema, v.pipe(jobsSchema, v.minLength(1, 'is empty')))),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { criteria, alternative_criteria: alternatives } = dataset.value;
    const stray = Object.keys(alternatives ?? {}).find((job) => !criteria.includes(job));
    if (stray !== undefined) addIssue({ message: `${stray} has alternatives, but is not required` });
  }),
  v.transform(({ criteria, alternative_criteria: alternatives }): LabelCriteria => {
    const groups = new Map(Object.entries(alternatives ?? {}));
    return {
      required: criteria.filter((job) => !groups.has(job)),
      'any-of': criteria.flatMap((job) => {
        const others = groups.get(job);
        return others === undefined ? [] : [[job, ...others]];
      }),
    };
  }),
  soundness,
);

/** The other keys of that file, such as `release` and `api_url`, are the promoter's own settings. */
const rdoFileSchema = v.object({ promotions: v.record(tagSchema, rdoLabelSchema) });

/** True for RDO's file, false for a file with a label named `promotions`. */
function isRdoFile(file: unknown): boolean {
  const parsed = v.safeParse(v.object({ promotions: v.looseObject({}) }), file);
  if (!parsed.success || v.is(v.object({ promotions: v.array(v.unknown()) }), file)) return false;
  return !Object.keys(parsed.output.promotions).some((key) => key in keysSchema.entries);
}

const MAX_CHARACTERS = 256 * 1024;
const MAX_ALIASES = 20;
const MAX_JOBS = 1000;
const MAX_DEPTH = 100;
const MAX_PROPERTIES = 100;

/**
 * Finds what would keep the YAML parser busy for minutes, or exhaust its stack, since criteria also come from ledgers
 * that others can write. Quoted characters are counted too, so the limits are far above what any criteria need.
 */
function excessOf(text: string): string | undefined {
  let depth = 0;
  for (const mark of text) {
    if (mark === '[' || mark === '{') depth += 1;
    else if (mark === ']' || mark === '}') depth -= 1;
    if (depth > MAX_DEPTH) return `lists or mappings nested more than ${MAX_DEPTH} deep`;
  }
  if (/^[ \t]*(?:[-?:][ \t]+){50}/m.test(text)) return '50 nested lists on one line';
  const properties = text.match(/(?:^|[\s,[{])[&!]/g) ?? [];
  return properties.length > MAX_PROPERTIES ? `more than ${MAX_PROPERTIES} anchors and tags` : undefined;
}

/**
 * Reads the criteria of one label from a criteria file (YAML 1.2 or JSON). Throws a UserError that names the key.
 * `what` names the file.
 */
export function parseCriteria(content: string, label: string, what = 'criteria'): Criteria {
  const yaml = parseYaml(content, what);
  const file = isRdoFile(yaml)
    ? parseUser(rdoFileSchema, yaml, what).promotions
    : parseUser(parsedFileSchema, yaml, what);
  const own = Object.entries(file).find(([name]) => name === label);
  if (own === undefined) {
    const there = Object.keys(file).join(', ');
    throw new UserError(`${what}: has no label ${JSON.stringify(label)}; it has ${there}`, {
      hint: 'promoted-label',
    });
  }
  const [, criteria] = own;
  const attestations = (criteria.attestations ?? []).map(toAttestation);
  const goal = criteria['promoted-in'];
  if (goal?.label === label && goal.url === undefined) {
    throw new UserError(`${what}: ${label}.promoted-in: names the label itself`);
  }
  const promotedIn = goal && { job: nameOf(goal), label: goal.label, for: goal.for, url: goal.url };
  return {
    label: parseUser(tagSchema, label, what),
    content,
    sha256: createHash('sha256').update(content).digest('hex'),
    requirements: [
      ...(criteria.required ?? []).map((job) => [job]),
      ...(criteria['any-of'] ?? []),
      ...attestations.map(({ name }) => [name]),
      ...(promotedIn === undefined ? [] : [[promotedIn.job]]),
    ],
    attestations,
    maxAge: criteria['max-age'],
    trustedUsers: criteria['trusted-users'],
    waivers: criteria.waivers ?? [],
    promotedIn,
    acrossHashes: criteria['across-hashes'] ?? false,
    bareTags: criteria['bare-tags'] ?? false,
  };
}

/** Parses YAML that JSON could express too, with unique keys and few aliases. `what` names the text in errors. */
export function parseYaml(text: string, what: string): unknown {
  if (text.length > MAX_CHARACTERS) throw new UserError(`${what}: more than ${MAX_CHARACTERS} characters`);
  const excess = excessOf(text);
  if (excess !== undefined) throw new UserError(`${what}: ${excess}`);
  const document = parseDocument(text, { schema: 'core', stringKeys: true, uniqueKeys: true });
  const [problem] = [...document.errors, ...document.warnings];
  // Below the first line the library draws an excerpt of the text.
  if (problem !== undefined) throw new UserError(`${what}: not YAML: ${problem.message.replace(/:?\n.*$/s, '')}`);
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new UserError(`${what}: not YAML: ${errorLine(error)}`);
  }
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data;
  throw new UserError(`${what}: not a mapping of keys to values`);
}
