import { z } from 'zod';
import { anyJson, text, time } from '../../schemas.ts';

export const SendEvent = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
      .meta({ description: 'What happened, as tasks of the kind `event` name it' }),
    key: z.string().max(256).default('').meta({ description: 'Of which thing' }),
    payload: anyJson.optional().meta({ description: 'What those who wait for it get' }),
    id: text(200).optional().meta({ description: 'Of the sender: the same id is the same event, however often it is sent' }),
  })
  .meta({ id: 'SendEvent' });

export const SentEvent = z
  .object({
    id: z.string(),
    name: z.string(),
    key: z.string(),
    at: time,
    runs: z.int().meta({ description: 'Runs that it was given to now; none: it is kept until somebody waits for it' }),
  })
  .meta({ id: 'SentEvent' });
