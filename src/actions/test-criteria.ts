import { systemClock, unixSeconds } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { explainPolicyTest, type PolicyTest, policyTestFile, runPolicyTests } from '../criteria/policy-tests.js';
import { defineAction } from '../runner/action.js';
import { lineSchema, list, requiredList } from '../runner/inputs.js';
import { readInputFile } from './shared/input-file.js';

export const action = defineAction({
  description:
    'Tests criteria: evaluates votes that you make up, and compares the verdict with the one that you expect',
  needs: 'nothing. It only reads files.',
  inputs: {
    criteria: requiredList('Criteria files, one per line', lineSchema),
    tests: list(
      'Their tests, one per line in the same order; empty: the file next to each, such as `criteria.test.yml` next to `criteria.yml`',
      lineSchema,
    ),
  },
  outputs: {
    passed: 'How many cases gave the expected verdict',
    failed: 'How many cases did not',
  },
  async run({ criteria, tests }, { context }) {
    if (tests.length > 0 && tests.length !== criteria.length) {
      throw new UserError(`input tests: lists ${tests.length} files, but criteria lists ${criteria.length}`);
    }
    const files = criteria.map((file, index) => ({ file, testFile: tests[index] ?? policyTestFile(file) }));
    const results = await Promise.all(
      files.map(async ({ file, testFile }) => ({
        file,
        cases: run(
          file,
          await readInputFile('criteria', file, context.workspace),
          await readInputFile('tests', testFile, context.workspace),
        ),
      })),
    );
    const cases = results.flatMap((one) => one.cases);
    const failed = cases.filter(({ passed }) => !passed);
    const count = `${cases.length - failed.length} of ${cases.length} cases gave the expected verdict`;
    const lines = results.flatMap((one) => [
      one.file,
      '',
      ...one.cases.map((test) => `- ${explainPolicyTest(test)}`),
      '',
    ]);
    return {
      outputs: { passed: String(cases.length - failed.length), failed: String(failed.length) },
      summary: [...lines, `${count}.`].join('\n'),
      ...(failed.length > 0 && { failure: `${count}; not: ${failed.map(({ name }) => name).join(', ')}` }),
    };
  },
});

function run(file: string, criteria: string, tests: string): PolicyTest[] {
  try {
    return runPolicyTests(criteria, tests, unixSeconds(systemClock));
  } catch (error) {
    throw error instanceof UserError ? new UserError(`${file}: ${error.message}`) : error;
  }
}
