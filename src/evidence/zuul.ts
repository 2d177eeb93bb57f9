import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { inParallel } from '../base/in-parallel.js';
import type { Log } from '../base/log.js';
import { parseJson } from '../base/schema.js';
import { candidateSchema, digestSchema, formatCandidate } from '../candidate/reference.js';
import { type Evidence, type JobResult, linkSchema } from '../criteria/job-result.js';
import type { Http, TextResponse } from '../http/policy.js';
import { readSaid } from '../http/said.js';
import { kindOfStatus } from '../http/status.js';

export interface Zuul {
  readonly http: Http;
  /** For example `https://review.rdoproject.org/zuul`. `/api/tenant/…` is appended to it. */
  readonly url: URL;
  readonly tenant: string;
}

export interface ZuulParts extends Zuul {
  readonly jobs: readonly string[];
  /** Only builds of these pipelines count. If a change is tested before review, its author decides what a job does. */
  readonly pipelines: readonly string[];
  readonly log: Log;
}

const PAGE = 100;
/** Limits a job to its newest 1,000 builds. */
const MAX_PAGES = 10;
const MAX_PAGE_BYTES = 16 * 1024 * 1024;

/** In UTC, although it has no time zone suffix. */
const timeSchema = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?$/, (issue) => `${issue.received} is not a time`),
  v.transform((time) => Math.floor(Date.parse(`${time}Z`) / 1000)),
  v.safeInteger(),
);

const artifactSchema = v.object({ metadata: v.optional(v.unknown()) });
const buildSchema = v.object({
  job_name: v.string(),
  /** Null while the build runs. */
  result: v.nullable(v.string()),
  pipeline: v.nullish(v.string(), ''),
  start_time: v.nullable(timeSchema),
  end_time: v.nullable(timeSchema),
  log_url: v.nullish(v.string(), ''),
  artifacts: v.nullish(v.array(artifactSchema), []),
});
type Build = v.InferOutput<typeof buildSchema>;

const anyCandidateSchema = v.object({ metadata: v.object({ type: v.literal('ceph_candidate') }) });

/**
 * A job returns this artifact with zuul_return to name the image that it tested. The job's variables would only show
 * the image that it was given, and a job may ignore them. Zuul does not list them either.
 */
const candidateArtifactSchema = v.object({
  metadata: v.object({
    type: v.literal('ceph_candidate'),
    reference: candidateSchema,
    'set-digest': v.nullish(
      v.union([
        digestSchema,
        v.pipe(
          v.literal(''),
          v.transform(() => undefined),
        ),
      ]),
    ),
  }),
});

/**
 * Zuul's results for builds that tested and did not pass. In all others (RETRY_LIMIT, NODE_FAILURE, ABORTED, SKIPPED …)
 * the test never finished, so they say nothing about the image. POST_FAILURE may hide a failed test.
 */
const FAILURES: readonly (string | null)[] = ['FAILURE', 'POST_FAILURE', 'TIMED_OUT', 'DISK_FULL'];

/**
 * Reads Zuul's builds of these jobs (Zuul's REST API, `/api/tenant/{tenant}/builds`), with a remark on each job without
 * a build that can count.
 */
export async function zuulEvidence(parts: ZuulParts): Promise<Evidence> {
  const all = await inParallel(parts.jobs, async (job) => ({ job, ...(await buildsOf(parts, job)) }));
  return {
    source: 'zuul',
    results: all.flatMap(({ builds }) => builds.flatMap(toJobResult)),
    remarks: new Map(all.flatMap((one) => (one.builds.length > 0 ? [] : [[one.job, whyNone(one.elsewhere, parts)]]))),
  };
}

/** A reason names at most this many pipelines, since records keep it. */
const NAMED = 3;

/** `elsewhere` are the pipelines that have builds of the job. */
function whyNone(elsewhere: readonly string[], { pipelines }: ZuulParts): string {
  if (elsewhere.length === 0) return 'Zuul has no build of a job with this name';
  const named = elsewhere.slice(0, NAMED).map((name) => oneLine(name, 60));
  const more = elsewhere.length > NAMED ? ', and more' : '';
  return `no build in ${pipelines.join(' or ')}; Zuul has builds in ${named.join(', ')}${more}`;
}

/** A build on any image, or on none. */
export interface ZuulBuild {
  readonly outcome: JobResult['outcome'] | 'unknown';
  /** Zuul's own result, such as `SUCCESS` or `NODE_FAILURE`; null while it runs. */
  readonly result: string | null;
  /** In unix seconds: when the build ended, or else when it began; null before that. */
  readonly timestamp: number | null;
  /** The address of its logs. */
  readonly url: string | null;
}

/** The newest builds of a job, in any pipeline. */
export async function newestZuulBuilds(zuul: Zuul, job: string, limit: number): Promise<ZuulBuild[]> {
  const builds = await readPage(zuul, job, { limit, skip: 0 });
  return ofJob(builds, job).map((build) => ({
    outcome: outcomeOf(build) ?? 'unknown',
    result: build.result,
    timestamp: timestampOf(build),
    url: logOf(build) ?? null,
  }));
}

/** The builds of a job in pipelines that count, and the names of the other pipelines that have some. */
async function buildsOf(
  { pipelines, log, ...zuul }: ZuulParts,
  job: string,
): Promise<{ readonly builds: readonly Build[]; readonly elsewhere: readonly string[] }> {
  const builds: Build[] = [];
  const elsewhere = new Set<string>();
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const rows = await readPage(zuul, job, { limit: PAGE, skip: page * PAGE });
    for (const build of ofJob(rows, job)) {
      if (pipelines.includes(build.pipeline)) builds.push(build);
      else elsewhere.add(build.pipeline);
    }
    if (rows.length < PAGE) return { builds, elsewhere: [...elsewhere] };
  }
  log.debug(`Zuul: only the newest ${MAX_PAGES * PAGE} builds of ${job} were read`);
  return { builds, elsewhere: [...elsewhere] };
}

async function readPage(
  { http, url, tenant }: Zuul,
  job: string,
  { limit, skip }: { readonly limit: number; readonly skip: number },
): Promise<Build[]> {
  const target = new URL(
    `${url.origin}${url.pathname.replace(/\/+$/, '')}/api/tenant/${encodeURIComponent(tenant)}/builds`,
  );
  target.search = new URLSearchParams({ job_name: job, limit: String(limit), skip: String(skip) }).toString();
  const what = `GET ${target.origin}${target.pathname}`;
  const asking = { idempotent: true, maxBytes: MAX_PAGE_BYTES, hint: 'zuul' } as const;
  const answer = await http.sendForText({ method: 'GET', url: target }, asking);
  if (answer.status !== 200) throw refusal(what, answer);
  return parseJson(v.array(buildSchema), answer.text, (problem) => {
    const { elsewhere } = answer;
    const said = elsewhere === undefined ? problem : `${elsewhere}, after a redirect, sent something else`;
    return new ServiceError('bad-answer', `${what}: ${said}; this is not Zuul's API`, { hint: 'zuul' });
  });
}

/** Compares whole names, since a server may treat the filter as a pattern. */
function ofJob(builds: readonly Build[], job: string): Build[] {
  return builds.filter((build) => build.job_name === job);
}

function refusal(what: string, answer: TextResponse): ServiceError {
  const { status } = answer;
  if (status === 404) return new ServiceError('not-found', `${what}: there is no such tenant`, { hint: 'zuul' });
  const said = readSaid({ ...answer, body: answer.text }).text;
  return new ServiceError(kindOfStatus(status), `${what} answered ${status}${said === '' ? '' : `: ${said}`}`);
}

/** An impossible time, for a failure whose end is not known. */
const NO_TIME = -1;

function toJobResult(build: Build): JobResult[] {
  const outcome = outcomeOf(build);
  const tested = testedImage(build);
  // A failure blocks its job even if it does not say what it tested, or when.
  const timestamp = timestampOf(build) ?? (outcome === 'failure' ? NO_TIME : undefined);
  if (outcome === undefined || timestamp === undefined) return [];
  if (tested === undefined && outcome === 'running') return [];
  const url = logOf(build);
  return [
    {
      job: build.job_name,
      outcome,
      ...tested,
      timestamp,
      ...(url === undefined ? {} : { url }),
      source: 'zuul',
    },
  ];
}

/** Undefined if it is unclear which image a build tested: it names none, several, or one that cannot be parsed. */
function testedImage({ artifacts }: Build): Pick<JobResult, 'candidate' | 'set-digest'> | undefined {
  const named = artifacts.filter((artifact) => v.is(anyCandidateSchema, artifact));
  const parsed = v.safeParse(v.array(candidateArtifactSchema), named);
  if (!parsed.success) return undefined;
  const tested = parsed.output.map(({ metadata }) => metadata);
  const names = tested.map(({ reference, 'set-digest': set }) => `${formatCandidate(reference)} ${set ?? ''}`);
  const [first] = tested;
  if (first === undefined || new Set(names).size > 1) return undefined;
  const { tag, digest } = first.reference;
  const set = first['set-digest'] ?? undefined;
  return { candidate: { tag, digest }, ...(set !== undefined && { 'set-digest': set }) };
}

function timestampOf(build: Build): number | null {
  return build.end_time ?? build.start_time;
}

function logOf({ log_url: url }: Build): string | undefined {
  return v.is(linkSchema, url) ? url : undefined;
}

function outcomeOf({ result }: Build): JobResult['outcome'] | undefined {
  if (result === null) return 'running';
  if (result === 'SUCCESS') return 'success';
  return FAILURES.includes(result) ? 'failure' : undefined;
}
