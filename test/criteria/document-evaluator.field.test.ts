import { expect, test } from '@jest/globals';
import { expectAgreement, expectAgreementOnRegressions } from './comparison.js';

/** The same as document-evaluator.test.ts, often enough to find rare cases. */

test('the product decides as the document says, from the evidence and from its record alone', async () => {
  const verdicts = await expectAgreement(20_000, 1000);
  for (const verdict of ['promote', 'wait', 'reject', 'error']) expect(verdicts.get(verdict)).toBeGreaterThan(100);
});

test('the product finds the regressions that the document describes', async () => {
  expect(await expectAgreementOnRegressions(2000, 500)).toBeGreaterThan(50);
});
