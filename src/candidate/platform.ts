import * as v from 'valibot';
import type { Arch } from './scheme.js';

/** A platform as an index names it (OCI image spec, image-index.md): `linux/amd64`, `linux/arm/v7`. */
export const platformSchema = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9]+)?$/,
    (issue) => `${issue.received} is not a platform such as linux/amd64 or linux/arm/v7`,
  ),
  // Every arm64 is v8, so that the variant says nothing there.
  v.transform((platform) => platform.replace(/\/arm64\/v8$/, '/arm64')),
);

/** What tags call x86_64 and aarch64, as an index names it. */
export const PLATFORM_OF: Readonly<Record<Arch, string>> = { x86_64: 'linux/amd64', aarch64: 'linux/arm64' };

/** The wanted platforms that are not among those there. Where no variant is wanted, any will do. */
export function missingPlatforms(wanted: readonly string[], there: readonly string[]): readonly string[] {
  return wanted.filter((one) => !there.some((other) => other === one || other.startsWith(`${one}/`)));
}
