import { z } from 'zod';
import type { Rights } from '../../domain/access/roles.ts';
import { mayGrant } from '../../domain/access/grants.ts';
import { invalidField } from '../../domain/invalidRequest.ts';
import { Problem } from '../../domain/problem.ts';

export const roleName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'a lower-case name: letters, digits, _ and -, at most 63')
  .meta({ description: 'One that every workspace has, or one of its own', examples: ['developer'] });

export const expiresAt = z.iso
  .datetime({ offset: true })
  .meta({ description: 'When the grant ends by itself; it must lie ahead', examples: ['2030-01-01T00:00:00.000Z'] });

/** @returns null = without end @throws Problem invalid_request */
export function endOf(at: string | null | undefined, now: number): Date | null {
  if (at === null || at === undefined) return null;
  const end = new Date(at);
  if (end.getTime() > now) return end;
  throw invalidField('/expiresAt', 'must lie ahead');
}

/** @throws Problem forbidden */
export function checkGrant(giver: Rights, rights: Rights, what: string): void {
  if (!mayGrant(giver, rights)) throw new Problem('forbidden', { detail: `${what} has rights that you have not` });
}

export const unknownRole = (name: string): Problem =>
  new Problem('unknown_role', {
    detail: `The workspace has no role ${name}`,
    issues: [{ pointer: '/role', code: 'unknown_role', message: 'is no role of the workspace' }],
  });
