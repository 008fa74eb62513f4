import { z } from 'zod';
import { SECRET_NAME } from '../../../domain/secret/name.ts';
import { listOf, page, time } from '../../schemas.ts';

const secretName = z
  .string()
  .regex(SECRET_NAME, 'a name: letters, digits, _ and -, from a letter on, at most 63')
  .meta({ examples: ['reportToken'] });

export const Secret = z
  .object({
    name: secretName,
    version: z.int().meta({ description: 'Counts the values that were set under the name from 1' }),
    keyId: z.string().meta({ description: 'Of the key that it is encrypted with' }),
    createdAt: time,
    createdBy: z.string(),
    updatedAt: time,
    updatedBy: z.string(),
  })
  .meta({ id: 'Secret', description: 'What is told of a secret: never its value' });
export const SecretList = listOf(Secret).meta({ id: 'SecretList' });

/** Its length is bounded by settings, so the handler checks it. */
export const SetSecret = z.strictObject({ value: z.string().meta({ writeOnly: true }) }).meta({ id: 'SetSecret' });

export const Reencrypted = z
  .object({
    keyId: z.string().meta({ description: 'Of the key that encrypts now' }),
    rewritten: z.int(),
    unreadable: z
      .array(
        z.object({
          name: z.string().meta({ description: '`totp/<account>`: of an authenticator app' }),
          keyId: z.string(),
          code: z.string(),
        }),
      )
      .meta({ description: 'Secrets that no configured key opens, at most 100; they stay as they are' }),
  })
  .meta({ id: 'Reencrypted' });

export const secretParams = z.object({ name: secretName });
export const secretsQuery = z.strictObject(page);
