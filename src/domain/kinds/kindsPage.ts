import { isObject, type Json, type JsonSchema } from '../json.ts';
import type { Field, Kind } from './kind.ts';
import { KINDS } from './kinds.ts';

const FORMS: { [form in Field['form']]: string } = {
  template: 'may hold `${…}`',
  literal: 'written out',
  condition: 'a condition, with or without `${ }`',
};

/** `docs/kinds.md`: every kind as its contract has it. */
export function kindsPage(): string {
  const kinds = Object.values(KINDS);
  return [
    '# Kinds of tasks',
    '',
    'Generated from the contracts in `src/domain/kinds`. A kind is *inline* (pure and short), an *effect* (touches the outside, has attempts with a `timeout`, may be retried) or *control* (waits; an `activity` has attempts all the same, in a worker of yours).',
    'Without `retry` in the task or in `defaults`, an attempt is final.',
    '',
    ...table(
      ['kind', 'class', 'what it does'],
      kinds.map((kind) => [`[\`${kind.name}\`](#${kind.name.replaceAll('.', '')})`, kind.class, kind.summary]),
    ),
    ...kinds.flatMap(section),
  ].join('\n');
}

function section(kind: Kind): string[] {
  const { exactlyOne, defaultTimeoutMs } = kind;
  const choice =
    exactlyOne === undefined ? [] : ['', `Exactly one of ${exactlyOne.map((name) => `\`${name}\``).join(', ')} must be there.`];
  const timeout =
    defaultTimeoutMs === undefined
      ? []
      : ['', `An attempt times out after ${defaultTimeoutMs / 1000} s unless \`timeout\` says otherwise.`];
  const failures = Object.entries(kind.failures);
  return [
    '',
    `## ${kind.name}`,
    '',
    `${kind.summary} Class: ${kind.class}.`,
    '',
    ...table(['field', 'type', 'written', 'meaning'], Object.entries(kind.with).map(fieldRow)),
    ...choice,
    ...timeout,
    '',
    `Output: ${typeWords(kind.output)}.`,
    ...(failures.length === 0
      ? []
      : [
          '',
          ...table(
            ['failure', 'retried', 'when'],
            failures.map(([code, { retryable, when }]) => [`\`${code}\``, retryable ? 'yes' : 'no', when]),
          ),
        ]),
    '',
    '```json',
    JSON.stringify(kind.example, null, 2),
    '```',
    ...(kind === Object.values(KINDS).at(-1) ? [''] : []),
  ];
}

function fieldRow([name, field]: [string, Field]): string[] {
  const value = field.default === undefined ? '' : ` Default: \`${JSON.stringify(field.default)}\`.`;
  const secret = field.secret ? ' May hold secrets.' : '';
  return [
    `\`${name}\`${field.required ? ' (required)' : ''}`,
    typeWords(field.schema),
    FORMS[field.form],
    `${field.description}${value}${secret}`,
  ];
}

/** A schema in a few words. */
function typeWords(schema: JsonSchema | Json): string {
  if (!isObject(schema)) return 'any value';
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  if (Array.isArray(schema.anyOf)) return [...new Set(schema.anyOf.map(typeWords))].join(' or ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => JSON.stringify(type).replaceAll('"', '')).join(' or ');
  if (schema.type === 'array') return `list of ${typeWords(schema.items ?? true)}`;
  if (schema.type === 'object' && isObject(schema.properties)) return `\`{ ${Object.keys(schema.properties).join(', ')} }\``;
  return typeof schema.type === 'string' ? schema.type : 'any value';
}

function table(head: string[], rows: string[][]): string[] {
  const cells = (row: string[]): string => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [cells(head), cells(head.map(() => '---')), ...rows.map(cells)];
}
