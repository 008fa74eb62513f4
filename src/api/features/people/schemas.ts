import { z } from 'zod';
import { maybeTime, text, time } from '../../schemas.ts';

export const PersonExport = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    status: z.enum(['accepted', 'ready']),
    createdAt: time,
    size: z.int().nullable().meta({ description: 'Bytes' }),
    expiresAt: maybeTime.meta({ description: 'Until when it can be fetched' }),
  })
  .meta({ id: 'PersonExport' });
export const PersonExports = z.object({ items: z.array(PersonExport) }).meta({ id: 'PersonExports' });
const part = z.array(z.looseObject({}));
export const PersonData = z
  .object({
    format: z.literal('tiu.person/1'),
    ...{ profile: part, memberships: part, projects: part, sessions: part, devices: part, identities: part, passkeys: part },
    ...{ authenticator: part, recoveryCodes: part, keys: part, links: part, invitations: part, audit: part, runs: part },
  })
  .meta({ id: 'PersonData', description: 'All that is kept of a person: a list for each part, without secrets' });
export const exportParams = z.object({ id: z.string() });

export const ErasePerson = z
  .strictObject({ name: text(100).meta({ description: 'The name of the account, again: so that nobody does this by mistake' }) })
  .meta({ id: 'ErasePerson' });
export const Erasing = z
  .object({ id: z.string().meta({ format: 'uuid' }), status: z.literal('accepted'), createdAt: time })
  .meta({ id: 'Erasing' });
export const personParams = z.object({ id: z.string() });
