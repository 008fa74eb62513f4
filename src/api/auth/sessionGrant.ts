import { z } from 'zod';

const uuid = z.string().meta({ format: 'uuid' });

/** What whoever opens a session is given. */
export const SessionGrant = z
  .object({
    sessionId: uuid,
    accessToken: z.string().nullable().meta({ description: 'For Authorization: Bearer; null when it was set as a cookie' }),
    tokenType: z.literal('Bearer'),
    expiresIn: z.int().meta({ description: 'Seconds' }),
    refreshToken: z.string().nullable().meta({ description: 'Good for one POST /auth/refresh; null when it was set as a cookie' }),
    workspace: uuid.nullable().meta({ description: 'Where the session acts' }),
    role: z.string().nullable().meta({ description: 'null = a member of no workspace' }),
  })
  .meta({ id: 'SessionGrant', description: 'Tokens of a session' });
