import { z } from 'zod';
import { listOf, maybeTime, page, time } from '../../schemas.ts';
import { expiresAt, roleName } from '../../auth/grantFields.ts';

export const Member = z
  .object({
    account: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    fullName: z.string().nullable(),
    email: z.string().nullable().meta({ description: 'Null for those who may not change members' }),
    status: z.enum(['active', 'disabled', 'erased']).meta({ description: 'Of the account; only an active one may sign in' }),
    role: z.string(),
    grantedBy: z.string(),
    grantedAt: time,
    expiresAt: maybeTime.meta({ description: 'When the grant ends by itself' }),
  })
  .meta({ id: 'Member', description: 'A person and what they may do in the workspace' });
export const MemberList = listOf(Member).meta({ id: 'MemberList' });

export const ChangeMember = z
  .strictObject({ role: roleName.optional(), expiresAt: expiresAt.nullable().optional() })
  .refine((body) => body.role !== undefined || body.expiresAt !== undefined, 'names nothing to change')
  .meta({ id: 'ChangeMember' });

export const memberParams = z.object({ account: z.string().meta({ description: 'Id of the account; `me` for oneself' }) });
export const membersQuery = z.strictObject({ ...page, role: roleName.optional() });
