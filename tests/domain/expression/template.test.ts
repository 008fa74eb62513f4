import { expect, test } from '@jest/globals';
import { compileCondition } from '../../../src/domain/expression/compileCondition.ts';
import { compileTemplate } from '../../../src/domain/expression/compileTemplate.ts';
import { type Compiled, EXPRESSIONS, type CompileResult, type ExpressionIssue } from '../../../src/domain/expression/expression.ts';
import { Problem } from '../../../src/domain/problem.ts';
import { bindings } from './cases.ts';

const scope = { names: ['input', 'tasks', 'run', 'item', 'index'], tasks: new Set(['scan', 'my-id']) };

function compiled(result: CompileResult): Compiled {
  if ('issues' in result) throw new Error(JSON.stringify(result.issues));
  return result.compiled;
}

function issues(result: CompileResult): ExpressionIssue[] {
  return 'issues' in result ? result.issues : [];
}

function problem(run: () => unknown): Problem {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('a template of any shape is evaluated in place, its keys and other values as they are', () => {
  const template = { '${input.n}': ['${input.n}', 1, null, true, 'x ${input.n}'], nested: { deep: '${input.xs}' }, 'a/b~c': '$${x}' };
  expect(compiled(compileTemplate(template, scope)).evaluate(bindings)).toEqual({
    '${input.n}': [2, 1, null, true, 'x 2'],
    nested: { deep: [3, 1, 2] },
    'a/b~c': '${x}',
  });
});

test('all issues of a value come at once, each with its pointer and its offset in the string', () => {
  const template = { a: 'x ${inpt.n}', 'b/c': ['${', '${input.n +}'], d: { '~': '${tasks.scna.output + nope}' } };
  expect(issues(compileTemplate(template, scope)).map(({ pointer, code, offset }) => [pointer, code, offset])).toEqual([
    ['/a', 'unknown_name', 4],
    ['/b~1c/0', 'expression_syntax', 0],
    ['/b~1c/1', 'expression_syntax', 11],
    ['/d/~0', 'unknown_task', 8],
    ['/d/~0', 'unknown_name', 22],
  ]);
});

test('a failure says what, in which expression and where', () => {
  const { evaluate } = compiled(compileTemplate({ list: ['total: ${ 1 + input.nam }'] }, scope));
  const failure = problem(() => evaluate(bindings));
  expect(failure.message).toBe("input has no field 'nam', did you mean 'name'? (in 1 + input.nam, at offset 11)");
  expect(failure.toFailure().data).toEqual({ expression: ' 1 + input.nam ', pointer: '/list/0', offset: 11 });
});

test('messages never hold the data', () => {
  const { evaluate } = compiled(compileTemplate('${input.token + 1}', scope));
  expect(JSON.stringify(problem(() => evaluate({ input: { token: 'hunter-two' } })).toFailure())).not.toContain('hunter');
});

test.each([
  ['${input.x.y}', [{ root: 'input', path: ['x', 'y'] }]],
  ['${tasks.scan.output.rows[0].id}', [{ root: 'tasks', task: 'scan', field: 'output', path: ['rows', '0', 'id'] }]],
  ['${tasks["my-id"].output}', [{ root: 'tasks', task: 'my-id', field: 'output', path: [] }]],
  ['${tasks.scan}', [{ root: 'tasks', task: 'scan', path: [] }]],
  ['${input.rows[input.n].id}', [{ root: 'input', path: ['n'] }, { root: 'input', path: ['rows'] }]],
  ['${tasks.scan.?output.x} ${run.id}', [{ root: 'tasks', task: 'scan', field: 'output', path: ['x'] }, { root: 'run', path: ['id'] }]],
  ['${input.a.map(a, a.b + input.a.size())}', [{ root: 'input', path: ['a'] }]],
  ['${has(tasks.scan.error.code)}', [{ root: 'tasks', task: 'scan', field: 'error', path: ['code'] }]],
  ['${item.path}#${index}', [{ root: 'item', path: ['path'] }, { root: 'index', path: [] }]],
  ['none', []],
])('%s reads what it says', (template, references) => {
  expect(compiled(compileTemplate(template, scope)).references).toEqual(references);
}); // prettier-ignore

test.each([
  ['${tasks.scan.output}', { root: 'tasks', task: 'scan', field: 'output', path: [] }],
  ['${ tasks["my-id"].output["a b"][0] }', { root: 'tasks', task: 'my-id', field: 'output', path: ['a b', '0'] }],
  ['${input}', { root: 'input', path: [] }],
  ['${input.?x}', undefined],
  ['${input.x} ', undefined],
  ['${input.x + 1}', undefined],
  ['${input.xs[input.n]}', undefined],
  ['${true}', undefined],
])('%s is or is not one plain reference', (template, whole) => {
  expect(compiled(compileTemplate(template, scope)).whole).toEqual(whole);
});

test('a whole reference passes the value on, not a copy', () => {
  expect(compiled(compileTemplate('${input.xs}', scope)).evaluate(bindings)).toBe((bindings as { input: { xs: unknown } }).input.xs);
});

test('secrets are named alone or joined with text, and only where they are allowed', () => {
  const allowed = { ...scope, secrets: true };
  const { evaluate, references } = compiled(compileTemplate({ h: 'Bearer ${secrets.token}', w: '${secrets["a-b"]}' }, allowed));
  expect(evaluate({ secrets: { token: 't', 'a-b': 'w' } })).toEqual({ h: 'Bearer t', w: 'w' });
  expect(references).toEqual([{ root: 'secrets', path: ['token'] }, { root: 'secrets', path: ['a-b'] }]); // prettier-ignore
  const code = (template: string) => issues(compileTemplate(template, allowed)).map((issue) => issue.code);
  expect(code('${lower(secrets.token)}')).toEqual(['secret_not_plain']);
  expect(code('${secrets}')).toEqual(['secret_not_plain']);
  expect(code('${secrets.token.x}')).toEqual(['secret_not_plain']);
  expect(issues(compileTemplate('${secrets.token}', scope)).map((issue) => issue.code)).toEqual(['secret_not_allowed']);
  expect(issues(compileCondition('secrets.token == "x"', allowed)).map((issue) => issue.code)).toEqual(['secret_not_allowed']);
  expect(problem(() => evaluate({ secrets: {} })).message).toContain("secrets has no field 'token'");
});

test('a condition is written with or without braces and gives true or false', () => {
  for (const text of ['input.n > 1', '${input.n > 1}', ' ${ input.n > 1 } ']) {
    expect(compiled(compileCondition(text, scope)).evaluate(bindings)).toBe(true);
  }
  expect(problem(() => compiled(compileCondition('input.n', scope)).evaluate(bindings)).message).toContain('gave a number');
  expect(problem(() => compiled(compileCondition('${input.?x}', scope)).evaluate(bindings)).message).toContain('gave null');
  expect(compiled(compileCondition('${input.on}', scope)).whole).toEqual({ root: 'input', path: ['on'] });
  expect(issues(compileCondition('${input.on} ', scope))).toEqual([]);
  expect(issues(compileCondition('${input.on} && ${input.off}', scope)).map((issue) => issue.hint)).toEqual([
    'Write the whole condition inside one ${…}',
  ]);
  expect(issues(compileCondition(' ${input.n > nope}', scope)).map((issue) => issue.offset)).toEqual([13]);
  expect(issues(compileCondition('', scope)).map((issue) => issue.code)).toEqual(['expression_syntax']);
});

test('the step budget is a parameter and is spent afresh by each evaluation', () => {
  const text = '${range(10).map(x, x)}';
  const { evaluate } = compiled(compileTemplate(text, scope, { steps: 15 }));
  for (let i = 0; i < 3; i++) expect(evaluate({})).toHaveLength(10);
  expect(problem(() => compiled(compileTemplate(text, scope, { steps: 5 })).evaluate({})).code).toBe('expression_too_costly');
});

test('without a list of tasks any task may be named', () => {
  expect(issues(compileTemplate('${tasks.anything.output}', { names: ['tasks'] }))).toEqual([]);
});

test('the version names the parser and our own semantics', () => {
  expect(EXPRESSIONS).toBe('cel-8.0.0/1');
});
