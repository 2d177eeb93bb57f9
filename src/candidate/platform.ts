import * as v from 'valibot';
import type { Arch } from './scheme.js';

/** A platform as an index names it (OCI image spec, image-index.md), such as `linux/amd64` or `linux/arm/v7`. */
export const platformSchema = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9]+)?$/,
    (issue) => `${issue.received} is not a platform such as linux/amd64 or linux/arm/v7`,
  ),
  // Every arm64 is v8, so the variant adds nothing.
  v.transform((platform) => platform.replace(/\/arm64\/v8$/, '/arm64')),
);

/** Maps the architectures in tags, x86_64 and aarch64, to the platforms of an index. */
export const PLATFORM_OF: Readonly<Record<Arch, string>> = { x86_64: 'linux/amd64', aarch64: 'linux/arm64' };

/** The wanted platforms that are missing from `there`. A wanted platform without a variant matches any variant. */
export function missingPlatforms(wanted: readonly string[], there: readonly string[]): readonly string[] {
  return wanted.filter((one) => !there.some((other) => other === one || other.startsWith(`${one}/`)));
}
