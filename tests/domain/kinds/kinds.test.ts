import { expect, test } from '@jest/globals';
import { matchesSchema, schemaFaults } from '../../../src/domain/definition/jsonSchema.schema.ts';
import { isObject } from '../../../src/domain/json.ts';
import { hasAttempts } from '../../../src/domain/kinds/kind.ts';
import { KINDS } from '../../../src/domain/kinds/kinds.ts';
import { kindsPage } from '../../../src/domain/kinds/kindsPage.ts';
import { PROBLEMS } from '../../../src/domain/problem.ts';

test.each(Object.values(KINDS))('the contract of $name is whole', (kind) => {
  for (const [name, field] of Object.entries(kind.with)) {
    expect(name).toMatch(/^[a-z][A-Za-z]*$/);
    expect(field.description).toMatch(/\.$/);
    expect(schemaFaults(field.schema)).toEqual([]);
    if (field.default !== undefined) expect(matchesSchema(field.schema, field.default)).toEqual([]);
  }
  expect(schemaFaults(kind.output)).toEqual([]);
  for (const code of Object.keys(kind.failures)) expect(Object.keys(PROBLEMS)).toContain(code);
  for (const name of kind.exactlyOne ?? []) expect(Object.keys(kind.with)).toContain(name);
});

test.each(Object.values(KINDS))('the example of $name names its fields alone', (kind) => {
  expect(kind.example.type).toBe(kind.name);
  const given = isObject(kind.example.with) ? Object.keys(kind.example.with) : [];
  expect(Object.keys(kind.with)).toEqual(expect.arrayContaining(given));
});

test('a failure that is said to be worth a retry is one of a kind with attempts', () => {
  for (const kind of Object.values(KINDS))
    for (const { retryable } of Object.values(kind.failures)) if (retryable) expect(hasAttempts(kind)).toBe(true);
});

test('the page of kinds has every kind', () => {
  for (const name of Object.keys(KINDS)) expect(kindsPage()).toContain(`\n## ${name}\n`);
});
