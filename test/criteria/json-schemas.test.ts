import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { jsonSchemas } from '../../scripts/schemas.js';
import { projectRoot } from '../sandbox/project.js';

const schemaOf = (name: string) => JSON.parse(jsonSchemas().get(`${name}.schema.json`) ?? '');

test.each([...jsonSchemas()])('schemas/%s is what the code parses by', (file, text) => {
  expect(readFileSync(join(projectRoot, 'schemas', file), 'utf8')).toBe(text);
});

test.each([
  ['a criteria file', schemaOf('criteria').additionalProperties.anyOf[0], 'max-age'],
  ['its tests', schemaOf('criteria-test').additionalProperties.items, 'verdict'],
  ['their votes', schemaOf('criteria-test').additionalProperties.items.properties.votes.items, 'image'],
])('every key of %s is described, and no other is known, for editors', (_, { properties, ...rest }, key) => {
  expect(Object.keys(properties)).toContain(key);
  for (const { description } of Object.values<{ description?: string }>(properties)) expect(description).toMatch(/\w/);
  expect(rest.additionalProperties).toBe(false);
});
