import { defineKind } from './kind.ts';

export const workflow = defineKind({
  name: 'workflow',
  class: 'control',
  summary: 'Starts another run and waits for its end; with `map`, one for each item. Cancel, deadline and pause go on to it.',
  with: {
    name: { description: 'A stored workflow of the workspace.', schema: { type: 'string', maxLength: 63 }, form: 'template' },
    version: { description: 'Its version or number; the newest without it.', schema: { type: ['string', 'integer'] }, form: 'template' },
    definition: { description: 'A definition that is written here.', schema: { type: 'object' }, form: 'literal', definition: true },
    input: { description: 'Input of the run.', schema: true, form: 'template' },
  },
  exactlyOne: ['name', 'definition'],
  output: true,
  failures: {
    child_failed: { retryable: false, when: 'the run failed' },
    child_cancelled: { retryable: false, when: 'the run was cancelled' },
    child_timed_out: { retryable: false, when: 'the run ran out of time' },
    child_too_deep: { retryable: false, when: 'too many runs are inside each other' },
  },
  example: { type: 'workflow', with: { name: 'review', input: { source: '${input.source}' } } },
});
