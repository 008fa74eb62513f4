import { defineKind } from './kind.ts';

export const event = defineKind({
  name: 'event',
  class: 'control',
  summary: 'Waits for an event of the workspace by name and key. One that has come before is taken. Holds no worker meanwhile.',
  with: {
    name: {
      description: 'What happened, such as `payment.received`.',
      schema: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' },
      form: 'template',
      required: true,
    },
    key: {
      description: 'Of which thing, such as an order number.',
      schema: { type: 'string', maxLength: 256 },
      form: 'template',
      default: '',
    },
    schema: {
      description: 'JSON Schema that the payload must match; an event that does not is refused.',
      schema: { type: ['object', 'boolean'] },
      form: 'literal',
    },
  },
  output: true,
  failures: { event_mismatch: { retryable: false, when: 'an event that came before the task does not match `schema`' } },
  example: { type: 'event', with: { name: 'payment.received', key: '${input.order}' }, deadline: 'P7D' },
});
