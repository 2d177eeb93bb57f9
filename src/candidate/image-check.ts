import * as v from 'valibot';
import { PLATFORM_OF } from './platform.js';
import type { Tag } from './reference.js';
import { type Build, formatVersion } from './scheme.js';
import { readStable } from './schemes.js';

/** The parts of an image that its tag is compared with. */
export interface ImageFacts {
  /** True if the tag is on an index, which may serve several platforms. */
  readonly isIndex: boolean;
  readonly configs: readonly {
    /** For example `linux/amd64`. */
    readonly platform: string;
    readonly env: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  }[];
}

export type Finding = { readonly state: 'same' | 'other' | 'absent'; readonly what: string };

/** `unknown` if the image does not say enough. */
export interface ImageCheck {
  readonly outcome: 'success' | 'failure' | 'unknown';
  readonly findings: readonly Finding[];
}

/** A value that the image's configuration must have, given by the user as `env NAME=value` or `label NAME=value`. */
export interface Expectation {
  readonly where: 'env' | 'label';
  readonly name: string;
  readonly value: string;
}

export const expectationSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Expectation => {
    const match = /^(env|label) ([^\s=]+)=(.*)$/.exec(dataset.value);
    const [, where, name, value] = match ?? [];
    if ((where === 'env' || where === 'label') && name !== undefined && value !== undefined)
      return { where, name, value };
    addIssue({ message: `${JSON.stringify(dataset.value)} is neither \`env NAME=value\` nor \`label NAME=value\`` });
    return NEVER;
  }),
);

/** Checks one thing that the build records in the configuration. */
interface Check {
  readonly where: Expectation['where'];
  readonly name: string;
  readonly fits: (value: string) => boolean;
}

/**
 * Compares an image with its tag, using what its build puts into the configuration, and with `expected`, whose entries
 * replace the checks of the same name. `unknown` if there is nothing to check, or if the configuration does not say.
 */
export function checkImage(tag: Tag, image: ImageFacts, expected: readonly Expectation[] = []): ImageCheck {
  const build = readStable(tag);
  const isOfCeph = build?.flavor !== undefined;
  const findings: Finding[] = isOfCeph ? [checkPlatforms(build, image)] : [];
  for (const config of image.configs) {
    const own = isOfCeph
      ? checksOf(tag, build, config).filter((check) => !expected.some((one) => isSame(one, check)))
      : [];
    const given = expected.map((one): Check => ({ ...one, fits: (value) => value === one.value }));
    for (const { where, name, fits } of [...own, ...given]) {
      const value = (where === 'env' ? config.env : config.labels)[name];
      const state = value === undefined ? 'absent' : fits(value) ? 'same' : 'other';
      findings.push({ state, what: `${config.platform}: ${where} ${name} is ${value ?? 'absent'}` });
    }
  }
  if (findings.length > 0) return { outcome: outcomeOf(findings), findings };
  return {
    outcome: 'unknown',
    findings: [{ state: 'absent', what: `${tag} is not a stable tag of Ceph, and no value is expected` }],
  };
}

function isSame(a: Pick<Check, 'where' | 'name'>, b: Pick<Check, 'where' | 'name'>): boolean {
  return a.where === b.where && a.name === b.name;
}

/**
 * A tag without an architecture must name an index that includes x86_64. A tag with one must name an image, or an index
 * of that image alone, which buildx makes to attach a provenance.
 */
function checkPlatforms({ arch }: Build, { isIndex, configs }: ImageFacts): Finding {
  const wanted = PLATFORM_OF[arch ?? 'x86_64'];
  const present = configs.map(({ platform }) => platform);
  const fits = present.includes(wanted) && (arch === undefined ? isIndex : present.length === 1);
  return {
    state: fits ? 'same' : 'other',
    what: `platforms ${present.join(', ')}; the tag says ${arch === undefined ? `an index with ${wanted}` : wanted}`,
  };
}

/**
 * Follows ceph-container's Dockerfile for its tags, and Ceph's container/Containerfile for those of quay.io/ceph/ceph.
 */
function checksOf(tag: Tag, { flavor, version, distro }: Build, { env }: ImageFacts['configs'][number]): Check[] {
  const isOfContainer = distro !== undefined || (env.CEPH_REF === undefined && env.CEPH_VERSION !== undefined);
  if (isOfContainer) {
    return [
      { where: 'env', name: 'CEPH_VERSION', fits: (value) => value === flavor },
      { where: 'label', name: 'ceph', fits: (value) => value === 'True' },
      // Only ceph-container's own tags begin with its release.
      ...(distro === undefined
        ? []
        : [
            {
              where: 'label',
              name: 'RELEASE',
              fits: (value: string) => value !== '' && tag.startsWith(`${value}-`),
            } as const,
          ]),
    ];
  }
  const isRef = (value: string) => value === flavor || value === `v${formatVersion(version)}`;
  return [
    { where: 'env', name: 'CEPH_REF', fits: isRef },
    { where: 'env', name: 'CEPH_IS_DEVEL', fits: (value) => value === 'false' },
    { where: 'label', name: 'CEPH_REF', fits: (value) => value === env.CEPH_REF },
    { where: 'label', name: 'CEPH_SHA1', fits: (value) => /^[0-9a-f]{40}$/.test(value) },
  ];
}

function outcomeOf(findings: readonly Finding[]): ImageCheck['outcome'] {
  if (findings.some(({ state }) => state === 'other')) return 'failure';
  return findings.some(({ state }) => state === 'absent') ? 'unknown' : 'success';
}
