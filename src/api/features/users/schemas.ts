import { z } from 'zod';
import { listOf, maybeTime, page, Problem, text, time } from '../../schemas.ts';

const status = z.enum(['active', 'disabled', 'erased']);

export const User = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    fullName: z.string().nullable(),
    email: z.string().nullable(),
    emailVerified: z.boolean(),
    status,
    createdAt: time,
    createdBy: z.string(),
    lastLoginAt: maybeTime,
    workspaces: z.int().meta({ description: 'Of how many they are a member' }),
  })
  .meta({ id: 'User', description: 'A person, as operators see them' });
export const UserList = listOf(User).meta({ id: 'UserList' });

export const BulkUsers = z
  .strictObject({
    ids: z.array(z.uuid()).min(1).max(100),
    action: z.enum(['activate', 'disable']),
  })
  .meta({ id: 'BulkUsers' });
export const BulkUsersResult = z
  .object({
    results: z.array(z.object({ index: z.int(), id: z.string(), status: z.int(), data: User.optional(), problem: Problem.optional() })),
    summary: z.object({ total: z.int(), succeeded: z.int(), failed: z.int() }),
  })
  .meta({ id: 'BulkUsersResult' });

export const userParams = z.object({ id: z.string() });
export const usersQuery = z.strictObject({
  ...page,
  search: text(100).optional().meta({ description: 'Found in name, full name or mail address' }),
  status: status.optional(),
});

export const CreateUser = z
  .strictObject({
    name: text(100).meta({ description: '3 to 50 letters, digits and underscores' }),
    email: text(320).meta({ description: 'The link to set a password goes there' }),
    fullName: text(100).optional(),
  })
  .meta({ id: 'CreateUser' });
export const ChangeUser = z
  .strictObject({ fullName: text(100).nullable().optional(), bio: text(500).nullable().optional() })
  .refine((body) => body.fullName !== undefined || body.bio !== undefined, 'names nothing to change')
  .meta({ id: 'ChangeUser', description: 'What is not named stays; null takes it away' });

export const ChangeUserEmail = z.strictObject({ email: text(320) }).meta({ id: 'ChangeUserEmail' });
export const MailSent = z.object({ status: z.literal('mail_sent') }).meta({ id: 'MailSent' });
