/** What Gerrit answered to a push for review. */
export interface GerritAnswer {
  /** `unchanged`: a patch set is already this commit. `closed`: the change was abandoned or merged. */
  readonly result: 'pushed' | 'unchanged' | 'closed';
  readonly url: string | undefined;
}

/**
 * Reads what a push to `refs/for` said: undefined if it failed for another reason. Gerrit has four ways to say that it
 * has the commit ("no new changes" and "commit already exists" in its documentation's list of error messages).
 */
export function readGerritAnswer(said: string, wasTaken: true): GerritAnswer;
export function readGerritAnswer(said: string, wasTaken: boolean): GerritAnswer | undefined;
export function readGerritAnswer(said: string, wasTaken: boolean): GerritAnswer | undefined {
  const url =
    /^remote:\s+(https?:\/\/\S+)/m.exec(said)?.[1] ?? /\bchange (https?:\/\/\S+) (?:is )?closed/i.exec(said)?.[1];
  if (wasTaken) return { result: 'pushed', url };
  if (/no new changes|commit(?:\(s\))? already exists/i.test(said)) return { result: 'unchanged', url };
  if (/change \S+ (?:is )?closed|\(closed\)/i.test(said)) return { result: 'closed', url };
  return undefined;
}
