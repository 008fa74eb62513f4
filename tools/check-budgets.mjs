// Budgets that no other tool counts: lines of every kind of file, marks of unfinished work, silenced checks, skipped tests.
import fs from 'node:fs';
import { trackedFiles } from './tracked.mjs';

const FILE_LINES = 400;
const README_LINES = 150;
const ADR_LINES = 40;

const mark = new RegExp(`\\b(?:${['TO', 'FIX', 'HA'].map((start, i) => start + ['DO', 'ME', 'CK'][i]).join('|')})\\b`);
const silenced = new RegExp(`(?:@ts-${'ignore'}|@ts-${'nocheck'}|@ts-${'expect-error'}|eslint-${'disable'})(?!.* -- \\S)`);
const LINE_RULES = [
  // the validation rules look for such marks in other people's code
  [/^(?!(?:src|tests)\/domain\/validation\/)(?:src|tests|bench|tools|migrations)\//, mark, 'a mark of unfinished work'],
  [/\.(?:ts|mts|mjs|js|cjs)$/, silenced, 'a check is silenced without a reason (" -- why")'],
];
const LENGTHS = [
  [/^(?:src|tests|bench|tools|migrations)\/.*\.(?:ts|mts|mjs|tsx)$/, FILE_LINES],
  [/^README\.md$/, README_LINES],
  [/^docs\/adr\//, ADR_LINES],
];

const faults = [];
for (const file of trackedFiles()) {
  const limit = LENGTHS.find(([where]) => where.test(file))?.[1];
  const rules = LINE_RULES.filter(([where]) => where.test(file));
  if (limit === undefined && rules.length === 0) continue;
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  if (limit !== undefined && lines.length > limit) faults.push(`${file}: ${lines.length} lines, the budget is ${limit}`);
  lines.forEach((line, index) => {
    for (const [, pattern, what] of rules) if (pattern.test(line)) faults.push(`${file}:${index + 1}: ${what}`);
  });
}
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
