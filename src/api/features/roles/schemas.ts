import { z } from 'zod';
import { ALL_ACTIONS, ROLES, SCOPES } from '../../../domain/access/actions.ts';
import { roleName } from '../../auth/grantFields.ts';
import { listOf, maybeTime, page, text } from '../../schemas.ts';

const action = z.enum(ALL_ACTIONS);

export const Role = z
  .object({
    name: z.string(),
    title: z.string().nullable(),
    builtIn: z.boolean().meta({ description: 'Every workspace has it' }),
    actions: z.array(z.string()).meta({ description: 'What it may do to anything' }),
    ownActions: z.array(z.string()).meta({ description: 'What it may do besides to what is its own' }),
    createdAt: maybeTime,
    createdBy: z.string().nullable(),
  })
  .meta({ id: 'Role' });
export const RoleList = listOf(Role).meta({ id: 'RoleList' });
export const SetRole = z
  .strictObject({ title: text(200).nullable().optional(), actions: z.array(action).min(1).max(ALL_ACTIONS.length) })
  .meta({ id: 'SetRole' });

const holds = z.enum(['yes', 'own', 'no']);
export const Permissions = z
  .object({
    roles: z.array(z.string()),
    actions: z.array(
      z.object({
        action,
        scope: z.enum(SCOPES).meta({ description: 'What a key needs' }),
        roles: z.object(Object.fromEntries(ROLES.map((role) => [role, holds]))),
        mine: holds.meta({ description: 'Of who asks, in the workspace' }),
      }),
    ),
  })
  .meta({ id: 'Permissions', description: 'Who may do what' });

export const roleParams = z.object({ name: roleName });
export const rolesQuery = z.strictObject(page);
