import * as v from 'valibot';
import { parse } from 'yaml';
import { errorLine } from '../base/errors.js';
import { tryParse } from '../base/schema.js';
import { similarNames } from '../base/similar-names.js';

/** The inputs of an action, as its action.yml declares them; true if one is required and has no default. */
export type ActionInputs = ReadonlyMap<string, boolean>;

const manifestSchema = v.object({
  inputs: v.nullish(
    v.record(v.string(), v.nullish(v.object({ required: v.nullish(v.boolean()), default: v.nullish(v.unknown()) }))),
    {},
  ),
});

/** Reads the declarations of an action.yml. Throws if it cannot be parsed. */
export function readActionInputs(text: string): ActionInputs {
  const { inputs } = v.parse(manifestSchema, parse(text));
  return new Map(
    Object.entries(inputs ?? {}).map(([name, input]) => [
      name,
      input?.required === true && input.default === undefined,
    ]),
  );
}

const stepSchema = v.object({ uses: v.nullish(v.string()), with: v.nullish(v.record(v.string(), v.unknown())) });
const stepsSchema = v.nullish(v.array(stepSchema), []);
const jobSchema = v.object({
  needs: v.fallback(v.nullish(v.union([v.string(), v.array(v.string())])), null),
  steps: stepsSchema,
});
const workflowSchema = v.object({
  jobs: v.nullish(v.record(v.string(), jobSchema), {}),
  runs: v.nullish(v.object({ steps: stepsSchema })),
});
/** A workflow, or a composite action, as far as it concerns our actions. */
export type Workflow = v.InferOutput<typeof workflowSchema>;

/** Parses a workflow. `problem` is one line. */
export function readWorkflow(text: string): { readonly value: Workflow } | { readonly problem: string } {
  let document: unknown;
  try {
    document = parse(text, { merge: true });
  } catch (error) {
    return { problem: `is not YAML: ${errorLine(error)}` };
  }
  const parsed = tryParse(workflowSchema, document);
  return 'problem' in parsed ? { problem: `is not a workflow: ${parsed.problem}` } : parsed;
}

/** The name of our action that a step uses; undefined if it uses none of ours. */
function actionOf(uses: string | null | undefined): string | undefined {
  return /(?:^|\/)actions\/([a-z-]+)(?:@[^@]*)?$/.exec(uses ?? '')?.[1];
}

type Step = v.InferOutput<typeof stepSchema>;

/** All steps of a workflow, or of a composite action. */
function stepsOf({ jobs, runs }: Workflow): Step[] {
  return [...Object.values(jobs ?? {}).flatMap((job) => job.steps ?? []), ...(runs?.steps ?? [])];
}

/** True if a step is evaluate-and-promote with this input. */
function evaluatesWith(input: string): (step: Step) => boolean {
  return ({ uses, with: given }) => actionOf(uses) === 'evaluate-and-promote' && given?.[input] !== undefined;
}

/** The jobs whose results a workflow passes to evaluate-and-promote in `needs`. */
export function evidenceInNeeds({ jobs }: Workflow): string[] {
  return Object.values(jobs ?? {}).flatMap(({ needs, steps }) =>
    (steps ?? []).some(evaluatesWith('needs')) ? [needs ?? []].flat() : [],
  );
}

/** True if a workflow tells evaluate-and-promote where Zuul is, so that evidence may come from there. */
export function namesZuul(workflow: Workflow): boolean {
  return stepsOf(workflow).some(evaluatesWith('zuul-url'));
}

/**
 * Compares the inputs that the steps of a workflow (or of a composite action) pass to our actions with those that these
 * declare: forges ignore an input that an action does not have. `inputsOf` gives an action's inputs by its name;
 * undefined for actions that are not ours. Returns one line for each problem.
 */
export function wrongInputs(workflow: Workflow, inputsOf: (action: string) => ActionInputs | undefined): string[] {
  const problems = stepsOf(workflow).flatMap(({ uses, with: given }) => {
    const name = actionOf(uses);
    const inputs = name === undefined ? undefined : inputsOf(name);
    return name === undefined || inputs === undefined ? [] : problemsOf(name, Object.keys(given ?? {}), inputs);
  });
  return [...new Set(problems)];
}

function problemsOf(action: string, given: readonly string[], inputs: ActionInputs): string[] {
  const names = [...inputs.keys()];
  const unknown = given.filter((name) => !inputs.has(name));
  const missing = names.filter((name) => inputs.get(name) && !given.includes(name));
  return [
    ...unknown.map((name) => {
      const [similar] = similarNames(name, names);
      return `${action} has no input ${name}, so it is ignored${similar === undefined ? '' : `; it has ${similar}`}`;
    }),
    ...missing.map((name) => `${action} requires the input ${name}`),
  ];
}
