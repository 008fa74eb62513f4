import { defineKind } from './kind.ts';

const NO_NUL = '^[^\\u0000]*$';

export const command = defineKind({
  name: 'command',
  class: 'effect',
  summary:
    'Runs a program that the operator has allowed (`TIU_COMMANDS`; none by default), without a shell, in a folder of its own that is removed afterwards. It inherits `PATH` and `TIU_EFFECT_KEY` alone; what it has started ends with it.',
  with: {
    program: {
      description: 'The name under which the operator allows it.',
      schema: { type: 'string', minLength: 1, maxLength: 64 },
      form: 'template',
      required: true,
    },
    args: {
      description: 'Its arguments, each as it is.',
      schema: { type: 'array', maxItems: 1_000, items: { type: 'string', maxLength: 100_000, pattern: NO_NUL } },
      form: 'template',
      default: [],
    },
    stdin: { description: 'Its standard input.', schema: { type: 'string', maxLength: 8_000_000 }, form: 'template', secret: true },
    env: {
      description: 'Environment variables by name; `LD_…` may not be set.',
      schema: {
        type: 'object',
        maxProperties: 100,
        propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$', maxLength: 100 },
        additionalProperties: { type: 'string', maxLength: 100_000, pattern: NO_NUL },
      },
      form: 'template',
      default: {},
      secret: true,
    },
    expectExit: {
      description: 'Exit codes that are a success.',
      schema: { type: 'array', minItems: 1, maxItems: 256, items: { type: 'integer', minimum: 0, maximum: 255 } },
      form: 'template',
      default: [0],
    },
  },
  output: {
    type: 'object',
    properties: {
      exitCode: { type: 'integer' },
      stdout: { type: 'string' },
      stderr: { type: 'string' },
      truncated: { type: 'boolean' },
      limits: {
        type: 'object',
        properties: {
          memory: { anyOf: [{ type: 'integer' }, { type: 'string', enum: ['not_enforced'] }] },
          network: { type: 'string', enum: ['none', 'not_enforced'] },
          processes: { type: 'string', enum: ['namespace', 'group'] },
          files: { type: 'string', enum: ['own', 'not_enforced'] },
        },
        required: ['memory', 'network', 'processes', 'files'],
        additionalProperties: false,
      },
    },
    required: ['exitCode', 'stdout', 'stderr', 'truncated', 'limits'],
    additionalProperties: false,
  },
  failures: {
    command_not_allowed: { retryable: false, when: 'the operator of the worker does not allow this program, or none' },
    command_not_started: { retryable: false, when: 'the program is not where the operator says, or cannot be run' },
    command_failed: {
      retryable: true,
      when: 'the exit code is not expected, or a signal ended it; code and the ends of both outputs are in the failure',
    },
    command_output_too_large: { retryable: false, when: 'it wrote more than allowed, and was ended' },
    task_timed_out: { retryable: true, when: 'the attempt took longer than `timeout`; everything it had started was ended' },
  },
  defaultTimeoutMs: 60_000,
  example: {
    type: 'command',
    with: { program: 'jq', args: ['-r', '.version'], stdin: '${tasks.manifest.output}' },
    timeout: 'PT10S',
  },
});
