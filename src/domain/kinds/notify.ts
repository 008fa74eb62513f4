import { defineKind } from './kind.ts';
import { CHANNELS, RECEIVERS } from './notice.ts';

export const notify = defineKind({
  name: 'notify',
  class: 'effect',
  summary:
    'Tells somebody: by mail, by a signed webhook (Standard Webhooks) or in a Slack-compatible channel. A repeated attempt is recognisable: `Message-ID`, `webhook-id` and `Idempotency-Key` stay the same.',
  with: {
    channel: {
      description: 'The way. Mail needs `TIU_SMTP_URL` and `TIU_MAIL_FROM` on the worker, webhooks `TIU_WEBHOOK_KEYS`.',
      schema: { type: 'string', enum: [...CHANNELS] },
      form: 'template',
      required: true,
    },
    to: {
      description: 'Mail: an address or a list of them, without names. Else: the one address (URL) to post to.',
      schema: RECEIVERS,
      form: 'template',
      required: true,
      secret: true,
    },
    subject: { description: 'In one line.', schema: { type: 'string', maxLength: 998 }, form: 'template' },
    text: {
      description: 'What is told, as plain text.',
      schema: { type: 'string', maxLength: 1_000_000 },
      form: 'template',
      required: true,
    },
    html: {
      description: 'The same as HTML: of a mail, beside the text; of a webhook, a field.',
      schema: { type: 'string', maxLength: 1_000_000 },
      form: 'template',
    },
    data: { description: 'For programs; webhooks only.', schema: true, form: 'template' },
  },
  output: {
    type: 'object',
    properties: {
      channel: { type: 'string', enum: [...CHANNELS] },
      id: { type: 'string' },
      accepted: { type: 'array', items: { type: 'string' } },
      rejected: { type: 'array', items: { type: 'string' } },
      status: { type: 'integer' },
      keys: { type: 'array', items: { type: 'string' } },
    },
    required: ['channel', 'id'],
    additionalProperties: false,
  },
  failures: {
    not_configured: { retryable: false, when: 'the operator has not set up this channel on the worker' },
    mail_failed: { retryable: true, when: 'the mail server cannot be reached or says: not now (4xx)' },
    mail_refused: { retryable: false, when: 'the mail server refuses the sign-in, the mail or every recipient for good (5xx)' },
    http_status: { retryable: true, when: 'the status is not 2xx; 4xx other than 408, 425 and 429 are final' },
    http_failed: { retryable: true, when: 'no answer arrived' },
    http_address_refused: { retryable: false, when: 'the address is private or not allowed' },
    circuit_open: { retryable: true, when: 'the host has failed too often of late; tried again when it is probed' },
    task_timed_out: { retryable: true, when: 'the attempt took longer than `timeout`' },
  },
  defaultTimeoutMs: 30_000,
  example: {
    type: 'notify',
    with: { channel: 'mail', to: '${input.owner}', subject: 'Review ${run.id}', text: 'The score is ${tasks.score.output}.' },
    retry: { limit: 5, delay: 'PT30S' },
  },
});
