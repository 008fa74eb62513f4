import { DURATION_SCHEMA } from '../definition/duration.ts';
import { LIMITS } from '../definition/limits.ts';
import type { JsonSchema } from '../json.ts';
import { defineKind } from './kind.ts';
import { CHANNELS, RECEIVERS } from './notice.ts';

const APPROVERS: JsonSchema = {
  type: 'array',
  minItems: 1,
  maxItems: 100,
  items: { type: 'string', pattern: '^(user|role|key|scope):.{1,200}$' },
};

const TOLD: { [field: string]: JsonSchema } = {
  channel: { type: 'string', enum: [...CHANNELS] },
  to: RECEIVERS,
  subject: { type: 'string', minLength: 1, maxLength: 998 },
  text: { type: 'string', minLength: 1, maxLength: 10_000 },
};

const NOTICE: JsonSchema = {
  type: 'object',
  properties: TOLD,
  required: ['channel', 'to'],
  additionalProperties: false,
};

const REMINDER: JsonSchema = {
  type: 'object',
  properties: {
    every: DURATION_SCHEMA,
    after: { type: 'array', minItems: 1, maxItems: LIMITS.reminders, items: DURATION_SCHEMA },
    max: { type: 'integer', minimum: 1, maximum: LIMITS.reminders },
    ...TOLD,
  },
  additionalProperties: false,
};

export const approval = defineKind({
  name: 'approval',
  class: 'control',
  summary: 'Waits until somebody approves or rejects. Holds no worker meanwhile.',
  with: {
    message: {
      description: 'What is to be decided.',
      schema: { type: 'string', minLength: 1, maxLength: 10_000 },
      form: 'template',
      required: true,
    },
    data: { description: 'What the decision is about.', schema: true, form: 'template' },
    approvers: {
      description:
        'Who may decide: `user:<name>` or `user:<id>`, `role:<role>` with those above it, `key:<id>`, or `scope:<scope>`; without it everybody who may decide approvals.',
      schema: APPROVERS,
      form: 'template',
    },
    onReject: {
      description: '`fail`: a rejection fails the task; `continue`: it completes it, and `decision` tells.',
      schema: { type: 'string', enum: ['fail', 'continue'] },
      form: 'literal',
      default: 'fail',
    },
    edit: {
      description: 'JSON Schema of what whoever approves may give as `edited`; nothing without it.',
      schema: { type: ['object', 'boolean'] },
      form: 'literal',
    },
    escalate: {
      description: 'From when on others may decide too.',
      schema: {
        type: 'object',
        properties: { afterMs: { type: 'integer', minimum: 1 }, approvers: APPROVERS },
        required: ['afterMs', 'approvers'],
        additionalProperties: false,
      },
      form: 'template',
    },
    notify: {
      description:
        'Tells, as soon as it is open, that it waits: `channel` and `to` as `notify` has them; `text` is the message without it. Reminders without a channel of their own go the same way.',
      schema: NOTICE,
      form: 'template',
    },
    remind: {
      description: `Reminds while nobody has decided: \`every\` so long, \`max\` times (${LIMITS.reminders} without it), or \`after\` each of some durations. With \`channel\` and \`to\` as \`notify\` has them; \`text\` is the message without it.`,
      schema: REMINDER,
      form: 'template',
    },
  },
  output: {
    type: 'object',
    properties: {
      decision: { type: 'string', enum: ['approved', 'rejected'] },
      by: { type: ['string', 'null'] },
      comment: { type: ['string', 'null'] },
      edited: true,
    },
    required: ['decision', 'by', 'comment', 'edited'],
    additionalProperties: false,
  },
  failures: { approval_rejected: { retryable: false, when: 'it was rejected, and `onReject` is `fail`' } },
  example: {
    type: 'approval',
    with: {
      message: 'Ship ${input.version}?',
      approvers: ['scope:runs:write'],
      notify: { channel: 'mail', to: '${input.owner}' },
      remind: { every: 'P1D' },
    },
    deadline: 'P30D',
    onDeadline: 'reject',
  },
});
