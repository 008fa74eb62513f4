import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileCondition } from '../../../src/domain/expression/compileCondition.ts';
import { compileTemplate } from '../../../src/domain/expression/compileTemplate.ts';
import { FUNCTIONS } from '../../../src/domain/expression/library/functions.ts';
import { MACROS } from '../../../src/domain/expression/macros.ts';
import { splitTemplate } from '../../../src/domain/expression/segments.ts';
import type { Json } from '../../../src/domain/json.ts';
import { Problem } from '../../../src/domain/problem.ts';
import { bindings } from './cases.ts';

const scope = { names: ['input', 'tasks', 'run'] };
const CODES = ['expression_failed', 'expression_too_costly', 'number_out_of_range'];

/** Compiles and evaluates; only a Problem of an expression may come out. Returns how long it took, in ms. */
function attempt(value: Json, data: Record<string, Json> = bindings): number {
  const started = performance.now();
  const result = compileTemplate(value, scope);
  if ('compiled' in result) {
    try {
      const made = result.compiled.evaluate(data);
      expect(JSON.stringify(made)).toBeDefined();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      expect(CODES).toContain(error.code);
    }
  }
  return performance.now() - started;
}

const leaf = fc.oneof(
  fc.constantFrom('input', 'input.xs', 'input.files', 'input.nested', 'input.emoji', 'input.nothing', 'input.n', 'input.?nope', 'tasks.scan.output', 'x', 'run.id'),
  fc.constantFrom('0', '1', '-1', '2.5', '1e300', '9007199254740991', '"a"', "'é😀'", '[]', '{}', 'null', 'true', 'range(50)', 'range(3000)'),
  fc.string({ maxLength: 5 }).map((text) => JSON.stringify(text)),
); // prettier-ignore

const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.tuple(tie('expression'), fc.constantFrom('+', '-', '*', '/', '%', '==', '!=', '<', '>=', 'in', '&&', '||'), tie('expression')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('expression'), tie('expression'), tie('expression')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
    fc.tuple(fc.constantFrom(...Object.keys(FUNCTIONS), 'matches'), fc.array(tie('expression'), { minLength: 1, maxLength: 3 })).map(([f, args]) => `${f}(${args.join(', ')})`),
    fc.tuple(tie('expression'), fc.constantFrom(...Object.keys(MACROS)), tie('expression')).map(([a, m, b]) => `${a}.${m}(x, ${b})`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `cel.bind(x, ${a}, [${b}, x, x])`),
    fc.tuple(tie('expression'), fc.constantFrom('.a', '.?b', '[0]', '[?9]', '["__proto__"]', '.?c.orValue(1)')).map(([a, b]) => `${a}${b}`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `{"k": ${a}, "__proto__": [${b}]}`),
  ),
})); // prettier-ignore

test('a well-formed expression gives JSON or a problem, in bounded time', () => {
  let slowest = 0;
  fc.assert(
    fc.property(expression, (text) => {
      slowest = Math.max(slowest, attempt(`\${${text}}`));
    }),
    { numRuns: 2000, seed: 4 },
  );
  // The budget bounds one evaluation to well below a second on a quiet machine.
  expect(slowest).toBeLessThan(5000);
});

test('any text at all is compiled or refused', () => {
  const noise = fc.array(fc.constantFrom('${', '}', '$', '"', "'", '{', '\\', 'input', '.', '?', '[', ']', '(', ')', '!', '-', '//', '\n', '1', 'é'), { maxLength: 40 });
  fc.assert(fc.property(fc.oneof(noise.map((parts) => parts.join('')), fc.string({ unit: 'binary' })), (text) => void attempt(text)), { numRuns: 3000 });
  fc.assert(fc.property(fc.string(), (text) => 'issues' in compileCondition(text, scope) || true), { numRuns: 1000 });
}); // prettier-ignore

test('any data under any key is safe to read', () => {
  const keys = fc.constantFrom('a', '__proto__', 'constructor', 'toString', 'length', 'map', '0');
  const paths = fc.array(keys, { minLength: 1, maxLength: 4 }).map((path) => path.map((key) => `["${key}"]`).join(''));
  fc.assert(
    fc.property(paths, fc.jsonValue(), (path, input) => {
      attempt(`\${input${path}}`, { input: input as Json });
      attempt(`\${has(input${path})} \${toJson(input) == toJson(input)} \${[input, input].distinct().size()}`, { input: input as Json });
    }),
  );
});

test('a text without expressions stands for itself', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!text.includes('${'));
      expect(splitTemplate(text)).toEqual([{ text }]);
    }),
  );
});

test('escaped text comes back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('${', 'a', '}', '{', ' ')), (parts) => {
      const text = parts.join('');
      const result = compileTemplate(
        text.replaceAll('${', () => '$${'),
        scope,
      );
      expect('compiled' in result && result.compiled.evaluate({})).toBe(text);
    }),
  );
});

test('deep data and deep expressions are refused, not overflown', () => {
  let deep: Json = 1;
  for (let i = 0; i < 20_000; i++) deep = [deep];
  for (const text of ['toJson(input)', 'input == [input]', '[input]', 'distinct([input])', 'flatten(input, 100)']) attempt(`\${${text}}`, { input: deep });
  for (const text of ['('.repeat(9000), '!'.repeat(9000) + 'true', '-'.repeat(900) + '1', '[0]' + '[0]'.repeat(900), '1' + '+1'.repeat(400), '{"a":'.repeat(2000)]) attempt(`\${${text}}`);
}); // prettier-ignore
