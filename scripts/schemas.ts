import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { criteriaFileSchema } from '../src/criteria/criteria-file.js';
import { decisionRecordSchema } from '../src/criteria/decision-record.js';
import { policyTestsSchema } from '../src/criteria/policy-tests.js';
import { ledgerRecordSchema } from '../src/ledger/codec.js';
import { dashboardSchema } from '../src/monitoring/model.js';
import { promotionPredicateSchema, summaryPredicateSchema } from '../src/proof/statement.js';
import { candidateFileSchema } from '../src/store/candidate-file.js';
import { lastDecisionSchema } from '../src/store/last-decision.js';

/** schemas/<name>.schema.json, for editors and other readers of our files, from the schemas that we parse with. */

const SCHEMAS: Readonly<Record<string, v.GenericSchema>> = {
  'candidate-file': candidateFileSchema,
  criteria: criteriaFileSchema,
  'criteria-test': policyTestsSchema,
  dashboard: dashboardSchema,
  'decision-record': decisionRecordSchema,
  'last-decision': lastDecisionSchema,
  'ledger-record': ledgerRecordSchema,
  'promotion-predicate': promotionPredicateSchema,
  'verification-summary-predicate': summaryPredicateSchema,
};

/** The files' texts by their names. Rules that JSON Schema cannot express, such as no job twice, are left out. */
export function jsonSchemas(): Map<string, string> {
  return new Map(
    Object.entries(SCHEMAS).map(([name, schema]) => {
      const json = toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore' });
      return [`${name}.schema.json`, `${JSON.stringify(json, undefined, 2)}\n`];
    }),
  );
}

export function schemaFiles(): ReadonlyMap<string, string> {
  return new Map([...jsonSchemas()].map(([name, text]) => [`schemas/${name}`, text]));
}
