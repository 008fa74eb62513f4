import { defineKind } from './kind.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export const http = defineKind({
  name: 'http',
  class: 'effect',
  summary: 'Sends one HTTP request with an `Idempotency-Key` that stays the same over all attempts. Redirects are not followed.',
  with: {
    method: { description: 'The method.', schema: { type: 'string', enum: METHODS }, form: 'template', default: 'GET' },
    url: { description: 'Where to.', schema: { type: 'string', pattern: '^https?://', maxLength: 8192 }, form: 'template', required: true },
    headers: {
      description: 'Header fields by name; null leaves one out.',
      schema: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } },
      form: 'template',
      default: {},
      secret: true,
    },
    body: { description: 'Text as it is; anything else as JSON.', schema: true, form: 'template', secret: true, byReference: true },
    expect: {
      description: 'Statuses that are a success, as numbers or classes.',
      schema: {
        type: 'array',
        minItems: 1,
        maxItems: 50,
        items: {
          anyOf: [
            { type: 'integer', minimum: 100, maximum: 599 },
            { type: 'string', pattern: '^[1-5]xx$' },
          ],
        },
      },
      form: 'template',
      default: ['2xx'],
    },
    as: {
      description: 'What `body` of the output is. `json` gives null for an empty body.',
      schema: { type: 'string', enum: ['json', 'text', 'artifact'] },
      form: 'literal',
      default: 'json',
    },
  },
  output: {
    type: 'object',
    properties: { status: { type: 'integer' }, headers: { type: 'object', additionalProperties: { type: 'string' } }, body: true },
    required: ['status', 'headers', 'body'],
    additionalProperties: false,
  },
  failures: {
    http_status: { retryable: true, when: 'the status is not expected; status, headers and body are in the failure' },
    http_failed: { retryable: true, when: 'no answer arrived' },
    http_response_too_large: { retryable: false, when: 'the answer is larger than allowed' },
    http_response_invalid: { retryable: false, when: 'the body is not what `as` says' },
    unknown_secret: { retryable: false, when: 'a secret that it names is not there when the attempt begins' },
    secret_key_unknown: { retryable: true, when: 'the worker has not the key that a secret is encrypted with' },
    secret_not_opened: { retryable: false, when: 'a secret is not what was stored under its name' },
    http_address_refused: { retryable: false, when: 'the address is private or not allowed' },
    circuit_open: { retryable: true, when: 'the host has failed too often of late; tried again when it is probed' },
    task_timed_out: { retryable: true, when: 'the attempt took longer than `timeout`' },
  },
  defaultTimeoutMs: 30_000,
  example: {
    type: 'http',
    with: { method: 'POST', url: '${input.reportUrl}', body: { total: '${tasks.totals.output}' } },
    retry: { limit: 3 },
  },
});
