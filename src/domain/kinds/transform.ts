import { defineKind } from './kind.ts';

export const transform = defineKind({
  name: 'transform',
  class: 'inline',
  summary: 'Shapes data: its output is the value, with every expression in it evaluated.',
  with: {
    value: { description: 'Any value; may hold expressions anywhere.', schema: true, form: 'template', required: true, byReference: true },
  },
  output: true,
  failures: {},
  example: { type: 'transform', with: { value: { total: '${sum(input.prices)}', currency: 'EUR' } } },
});
