import { z } from 'zod';
import { SCOPES } from '../domain/access/actions.ts';
import { STRATEGIES } from '../domain/plan/plan.ts';

/** Shapes that several features share. */
export const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((value) => !value.includes('\0'), 'must not hold U+0000');

export const anyJson = z.unknown().meta({ description: 'Any JSON value' });
export const time = z
  .string()
  .meta({ format: 'date-time', description: 'UTC, ISO 8601 with milliseconds', examples: ['2026-11-25T08:00:00.000Z'] });
export const maybeTime = z.string().nullable().meta({ format: 'date-time' });
export const runIdText = z.string().meta({ format: 'uuid' });
export const workflowName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a lower-case name: letters, digits and dashes, at most 63');
export const taskId = z.string().min(1).max(200);
export const sha256Text = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits');
export const scope = z.enum(SCOPES);
export const strategyUsed = z.enum(STRATEGIES).exclude(['adaptive']).meta({ description: 'In which order tasks begin' });
export const strategyReason = z.string().meta({ description: 'Why that one' });

export const Issue = z
  .object({
    pointer: z.string().meta({ description: 'JSON Pointer (RFC 6901)' }),
    line: z.int().optional(),
    column: z.int().optional(),
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
  })
  .meta({ id: 'Issue', description: 'One fault of a document' });

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: 'Stable; what programs decide by' }),
    detail: z.string().optional(),
    requestId: z.string(),
    issues: z.array(Issue).optional(),
    'violated-policies': z.array(z.string()).optional().meta({ description: 'Of a rate limit: the policies that were reached' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' });

export const Failure = z
  .object({ code: z.string(), message: z.string(), data: anyJson.optional() })
  .meta({ id: 'Failure', description: 'Why a run, task or item did not complete' });

/** Query parameters of a list. */
export const page = { limit: z.coerce.number().int().min(1).max(200).default(50), cursor: z.string().min(1).max(500).optional() };

export const listOf = (item: z.ZodType) =>
  z.object({
    items: z.array(item),
    nextCursor: z.string().nullable().meta({ description: 'Of the next page; null on the last one' }),
  });

export const noQuery = z.strictObject({});

/** A parameter that may be given several times. */
export const repeated = <T extends z.ZodType>(item: T) =>
  z
    .union([item, z.array(item).max(20)])
    .optional()
    .transform((value): z.output<T>[] =>
      value === undefined ? [] : Array.isArray(value) ? (value as z.output<T>[]) : [value as z.output<T>],
    );
