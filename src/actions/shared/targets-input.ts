import * as v from 'valibot';
import { parseTargets } from '../../promotion/targets.js';
import type { Targets } from '../../rules/targets.js';
import { linesSchema, parsing } from '../../runner/inputs.js';

export const targetsDescription =
  'Where the image is copied to, one repository per line; companions as `image:tag -> repository`, or pinned as `image:tag@digest -> repository`';

/** The repositories that a promotion writes to, a line each. */
export const targetsSchema: v.GenericSchema<string, Targets> = v.pipe(
  linesSchema,
  parsing((lines: string[]) => parseTargets(lines)),
);
