import { defineKind } from './kind.ts';

export const assert = defineKind({
  name: 'assert',
  class: 'inline',
  summary: 'Goes on if a condition holds, and fails with a message if not.',
  with: {
    that: { description: 'The condition.', schema: { type: 'boolean' }, form: 'condition', required: true },
    message: { description: 'What the failure says.', schema: { type: 'string' }, form: 'template' },
  },
  output: { const: true, type: 'boolean' },
  failures: { assertion_failed: { retryable: false, when: 'the condition is false' } },
  example: { type: 'assert', with: { that: 'input.total > 0', message: 'nothing to pay: ${input.total}' } },
});
