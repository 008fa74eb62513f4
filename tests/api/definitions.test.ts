import { expect, test } from '@jest/globals';
import { createDefinitions } from '../../src/api/definitions.ts';

const definition = (n: number) => ({
  ...{ dsl: 'tiu/1', name: 'large' },
  tasks: { a: { type: 'transform', with: { value: `${n}${'x'.repeat(900_000)}` } } },
});

test('a definition that comes again, however large, is not compiled again', () => {
  const { compile } = createDefinitions();
  const first = compile(definition(1));
  expect(compile(definition(1))).toBe(first);
  expect(compile(JSON.stringify(definition(1)))).not.toBe(first); // as YAML it is another text
});

test('of large definitions only the latest 4 Mi characters are remembered', () => {
  const { compile } = createDefinitions();
  const [first, second] = [compile(definition(1)), compile(definition(2))];
  for (let n = 3; n <= 5; n++) compile(definition(n));
  expect(compile(definition(2))).toBe(second);
  expect(compile(definition(1))).not.toBe(first);
});
