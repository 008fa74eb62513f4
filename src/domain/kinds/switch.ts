import { defineKind } from './kind.ts';

const targets = { type: 'array', items: { type: 'string' }, minItems: 1 } as const;

export const switchKind = defineKind({
  name: 'switch',
  class: 'inline',
  summary: 'Chooses which tasks run: the targets of the first case that holds, else those of `else`. The other targets become `skipped`.',
  with: {
    cases: {
      description: 'In order: `if` is a condition, `then` the ids of the tasks it lets run.',
      schema: {
        type: 'array',
        minItems: 1,
        maxItems: 100,
        items: {
          type: 'object',
          required: ['if', 'then'],
          properties: { if: { type: ['string', 'boolean'] }, then: targets },
          patternProperties: { '^x-': true },
          additionalProperties: false,
        },
      },
      form: 'literal',
      required: true,
    },
    else: {
      description: 'Ids of the tasks that run if no case holds.',
      schema: { type: 'array', items: { type: 'string' } },
      form: 'literal',
    },
  },
  output: {
    type: 'object',
    properties: { chosen: { type: 'array', items: { type: 'string' } } },
    required: ['chosen'],
    additionalProperties: false,
  },
  failures: {},
  example: { type: 'switch', with: { cases: [{ if: 'input.amount > 1000', then: ['review'] }], else: ['accept'] } },
});
