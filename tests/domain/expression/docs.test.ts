import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { compileTemplate } from '../../../src/domain/expression/compileTemplate.ts';
import { FUNCTIONS } from '../../../src/domain/expression/library/functions.ts';
import { MACROS } from '../../../src/domain/expression/macros.ts';
import type { Json } from '../../../src/domain/json.ts';
import { LIBRARY } from './cases.ts';

const page = readFileSync(new URL('../../../docs/expressions.md', import.meta.url), 'utf8');
const input = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '') as Json;

/** Rows of two code spans: what is written and the JSON that it gives. */
const examples = [...page.matchAll(/^\| `(.+)` +\| `(.+)` +\|$/gm)].map(([, written = '', gives = '']) => ({
  written: written.replaceAll('\\|', '|'),
  gives,
}));

test.each(examples)('docs: $written', ({ written, gives }) => {
  const result = compileTemplate(written.includes('${') ? written : `\${${written}}`, { names: ['input'] });
  if ('issues' in result) throw new Error(JSON.stringify(result.issues));
  expect(result.compiled.evaluate({ input })).toEqual(JSON.parse(gives));
});

test('the page has an example of every function and macro, and the table has cases of every function', () => {
  const used = examples.map((example) => example.written).join('\n');
  const names = [...Object.keys(FUNCTIONS), ...Object.keys(MACROS), 'matches', 'has', 'orValue', 'hasValue'];
  expect(names.filter((name) => !used.includes(`${name}(`))).toEqual([]);
  expect([...Object.keys(FUNCTIONS), 'matches', 'sortBy', 'groupBy'].filter((name) => !Object.hasOwn(LIBRARY, name))).toEqual([]);
});
