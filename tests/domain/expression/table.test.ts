import { expect, test } from '@jest/globals';
import { compileTemplate } from '../../../src/domain/expression/compileTemplate.ts';
import type { Json } from '../../../src/domain/json.ts';
import { Problem } from '../../../src/domain/problem.ts';
import { bindings, BOUNDS, type Case, CASES, LIBRARY } from './cases.ts';

const scope = { names: ['input', 'tasks', 'run'], tasks: new Set(['scan', 'skipped', 'my-id']) };

type Outcome = { is: Json } | { fails: string; says: string } | { refused: string; says: string };

/** What happens, in the words of the table; messages are reduced to the part that the table names. */
function outcomeOf(template: string, says: string): Outcome {
  const text = template.includes('${') ? template : `\${${template}}`;
  const result = compileTemplate(text, scope);
  if ('issues' in result) {
    const [issue] = result.issues;
    const all = `${issue?.message ?? ''} ${issue?.hint ?? ''}`;
    return { refused: issue?.code ?? 'no issue', says: all.includes(says) ? says : all };
  }
  try {
    return { is: result.compiled.evaluate(bindings) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { fails: error.code, says: error.message.includes(says) ? says : error.message };
  }
}

const rows = (table: Readonly<Record<string, readonly Case[]>>) =>
  Object.entries(table).flatMap(([section, cases]) => cases.map(([template, outcome]) => ({ section, template, outcome })));

const ALL = [...rows(CASES), ...rows(LIBRARY), ...rows(BOUNDS)];

test.each(ALL)('$section: $template', ({ template, outcome }) => {
  expect(outcomeOf(template, 'says' in outcome ? outcome.says : '')).toEqual(outcome);
});

test('the table has at least 120 cases', () => {
  expect(ALL.length).toBeGreaterThanOrEqual(120);
});

test('no case changes the data it sees', () => {
  const before = JSON.stringify(bindings);
  for (const { template } of ALL) outcomeOf(template, '');
  expect(JSON.stringify(bindings)).toBe(before);
});
