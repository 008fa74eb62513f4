import { availableParallelism, cpus } from 'node:os';
import { compileTemplate } from '../src/domain/expression/compileTemplate.ts';
import type { Json } from '../src/domain/json.ts';

// Evaluations per second of compiled expressions, best of five rounds of a fifth of a second.

const files = Array.from({ length: 100 }, (_, i) => ({ path: `src/file${i}.ts`, score: (i % 10) / 10 }));
const bindings: { [name: string]: Json } = {
  input: { n: 2, name: 'x', files },
  tasks: { check: { output: files, status: 'completed', error: null } },
};

const EXPRESSIONS: Readonly<Record<string, string>> = {
  'plain reference': '${tasks.check.output}',
  'simple condition': '${input.n > 1 && input.name != "y"}',
  interpolation: 'n is ${input.n}, name is ${input.name}',
  'filter of 100': '${tasks.check.output.filter(f, f.score < 0.5).map(f, f.path)}',
  'sort of 100': "${tasks.check.output.sortBy('score')}",
};

function perSecond(run: () => unknown): number {
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < 200) {
    for (let i = 0; i < 100; i++) run();
    count += 100;
  }
  return (count / (performance.now() - started)) * 1000;
}

process.stdout.write(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, node ${process.version}\n`);
for (const [name, text] of Object.entries(EXPRESSIONS)) {
  const result = compileTemplate(text, { names: ['input', 'tasks'] });
  if ('issues' in result) throw new Error(JSON.stringify(result.issues));
  const { evaluate } = result.compiled;
  const best = Math.max(...Array.from({ length: 5 }, () => perSecond(() => evaluate(bindings))));
  process.stdout.write(`${name.padEnd(20)} ${Math.round(best).toLocaleString('en').padStart(12)} evaluations/s\n`);
}
