import type { WhoAmI } from '../client/auth.ts';

/** Who somebody is, and where they act, for people. */
export function whoLines({ kind, person, key, workspace, role }: WhoAmI, baseUrl: string): string[] {
  const who = kind === 'person' ? (person?.name ?? '') : `key ${key?.name ?? ''}${person ? ` of ${person.name}` : ''}`;
  const where = workspace === null ? 'member of no workspace' : `workspace ${workspace.name}${role === null ? '' : ` as ${role}`}`;
  return [`${who} at ${baseUrl}`, where];
}
