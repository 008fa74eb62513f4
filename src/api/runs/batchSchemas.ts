import { z } from 'zod';
import { Problem } from '../schemas.ts';

export const ownKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible ASCII characters')
  .optional()
  .meta({ description: 'Of this entry; without it, that of the request with a slash and its index' });

/** Entries are checked one by one, so that a faulty one does not refuse the others; the document shows what they are to be. */
export const entries = (entry: z.ZodType) =>
  z
    .array(
      z.union([entry, z.unknown()]).meta({
        override: ({ jsonSchema }) => {
          jsonSchema.anyOf = (jsonSchema.anyOf ?? []).slice(0, 1);
        },
      }),
    )
    .min(1);

export const batchOf = (data: z.ZodType) =>
  z.object({
    results: z.array(
      z.object({
        index: z.int(),
        status: z.int().meta({ description: 'As if the entry had come alone' }),
        replayed: z.boolean().optional().meta({ description: 'It had been accepted before' }),
        data: data.optional(),
        problem: Problem.optional(),
      }),
    ),
    summary: z.object({ total: z.int(), succeeded: z.int(), failed: z.int() }),
  });
