import { DURATION_SCHEMA } from '../definition/duration.ts';
import { defineKind } from './kind.ts';

export const wait = defineKind({
  name: 'wait',
  class: 'control',
  summary: 'Waits for a time to pass or to come. Holds no worker meanwhile.',
  with: {
    for: { description: 'A duration: ISO 8601 or `{ minutes: 30 }`.', schema: DURATION_SCHEMA, form: 'template' },
    until: { description: 'A time: ISO 8601 with an offset or `Z`.', schema: { type: 'string', format: 'date-time' }, form: 'template' },
  },
  exactlyOne: ['for', 'until'],
  output: { type: 'null' },
  failures: {},
  example: { type: 'wait', with: { for: 'PT30S' } },
});
