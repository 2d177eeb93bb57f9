import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { jsonSchemas } from '../../scripts/schemas.js';
import { projectRoot } from '../sandbox/project.js';

test.each([...jsonSchemas()])('schemas/%s is what the code parses by', (file, text) => {
  expect(readFileSync(join(projectRoot, 'schemas', file), 'utf8')).toBe(text);
});

test('every key of a criteria file is described, for editors that complete it', () => {
  const schema = JSON.parse(jsonSchemas().get('criteria.schema.json') ?? '');
  const properties: Record<string, { description?: string }> = schema.additionalProperties.anyOf[0].properties;
  expect(Object.keys(properties)).toContain('max-age');
  for (const { description } of Object.values(properties)) expect(description).toMatch(/\w/);
});
