import * as v from 'valibot';
import type { KnownImage } from '../../src/candidate/known-images.js';
import type { ListedTag } from '../../src/candidate/listing.js';
import type { Policy } from '../../src/candidate/policy.js';
import { digestSchema } from '../../src/candidate/reference.js';
import { cephDaemon } from '../../src/candidate/schemes/ceph-daemon.js';
import { type Selection, selectCandidate } from '../../src/candidate/selection.js';

export const NOW = 1_700_000_000;
export const DAY = 86_400;

/** Requires nothing; a test adds its requirements. */
export function policy(asked: Partial<Policy> = {}): Policy {
  return {
    scheme: cephDaemon,
    flavor: undefined,
    arch: undefined,
    distro: undefined,
    exclude: [],
    minimumAge: 0,
    unknownAgePasses: false,
    now: NOW,
    preferDated: false,
    platforms: [],
    ...asked,
  };
}

export function listed(names: readonly string[]): ListedTag[] {
  return names.map((name) => ({ name }));
}

/** The tag that `6.0.7 pacific centos-stream8-x86_64` is short for. */
export function tag(short: string): string {
  const [version, flavor, build] = short.split(' ');
  return `v${version}-stable-${version?.replace(/\.\d+$/, '')}-${flavor}-${build}`;
}

/** What is known of an image with these platforms. */
export function imageOf(platforms: readonly string[], created?: number): KnownImage {
  return { digest: v.parse(digestSchema, `sha256:${'a'.repeat(64)}`), platforms, created };
}

/** The chosen tag, or why there is none. */
export function answer(selection: Selection): string {
  if (selection.kind === 'chosen') return selection.chosen.tag;
  return selection.kind === 'unread' ? `read ${selection.tag}` : selection.reason;
}

export function choose(names: readonly string[], asked: Partial<Policy> = {}): string {
  return answer(selectCandidate(listed(names), policy(asked)));
}
