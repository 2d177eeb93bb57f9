import { PLATFORM_OF } from './platform.js';
import type { Tag } from './reference.js';
import { readStable } from './schemes.js';

/** What an image says of itself: each platform's configuration. */
export interface ImageFacts {
  /** Is the tag on an index? One may serve several platforms. */
  readonly isIndex: boolean;
  readonly configs: readonly {
    /** `linux/amd64`. */
    readonly platform: string;
    readonly env: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  }[];
}

export type Finding = { readonly state: 'same' | 'other' | 'absent'; readonly what: string };

/** `unknown` where the image does not say enough to tell. */
export interface ImageCheck {
  readonly outcome: 'success' | 'failure' | 'unknown';
  readonly findings: readonly Finding[];
}

/**
 * Holds an image against its tag, by what ceph-container's Dockerfile puts into the configuration: the environment's
 * CEPH_VERSION is the flavor, the label `ceph` is True, and the label RELEASE is the tag's beginning.
 */
export function checkImage(tag: Tag, image: ImageFacts): ImageCheck {
  const build = readStable(tag);
  if (build?.flavor === undefined) {
    return { outcome: 'unknown', findings: [{ state: 'absent', what: `${tag} is no stable tag with a flavor` }] };
  }
  // A tag with no architecture is an index, of which x86_64 is always a member.
  const platform = PLATFORM_OF[build.arch ?? 'x86_64'];
  const present = image.configs.map((config) => config.platform);
  // An index of one platform and its attestations is an image for that platform alone.
  const isAsTagged = present.includes(platform) && (build.arch === undefined ? image.isIndex : present.length === 1);
  const findings: Finding[] = [
    {
      state: isAsTagged ? 'same' : 'other',
      what: `platforms ${present.join(', ')}; the tag says ${build.arch === undefined ? `an index with ${platform}` : platform}`,
    },
  ];
  for (const config of image.configs) {
    const compare = (what: string, value: string | undefined, fits: (value: string) => boolean) => {
      const state = value === undefined ? 'absent' : fits(value) ? 'same' : 'other';
      findings.push({ state, what: `${config.platform}: ${what} is ${value ?? 'absent'}` });
    };
    compare('env CEPH_VERSION', config.env.CEPH_VERSION, (value) => value === build.flavor);
    compare('label ceph', config.labels.ceph, (value) => value === 'True');
    compare('label RELEASE', config.labels.RELEASE, (value) => value !== '' && tag.startsWith(`${value}-`));
  }
  return { outcome: outcomeOf(findings), findings };
}

function outcomeOf(findings: readonly Finding[]): ImageCheck['outcome'] {
  if (findings.some(({ state }) => state === 'other')) return 'failure';
  return findings.some(({ state }) => state === 'absent') ? 'unknown' : 'success';
}
