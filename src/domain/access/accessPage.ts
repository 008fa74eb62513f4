import { ALL_ACTIONS, ROLES, ruleOf } from './actions.ts';
import { RIGHTS } from './roles.ts';

const cell = (role: (typeof ROLES)[number], action: (typeof ALL_ACTIONS)[number]): string => {
  if (RIGHTS[role].actions.has(action)) return 'yes';
  return RIGHTS[role].own.has(action) ? 'own' : '';
};

/** `docs/access.md`: who may do what. */
export function accessPage(): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    '# Who may do what',
    '',
    'Generated from `src/domain/access`. Everything stands in one workspace; what is of another one answers as if it did not exist.',
    'A person has a role in a workspace, and may have a greater one in single projects; a key has scopes, and never more rights than the person it belongs to.',
    '`yes`: to anything in the workspace (or project). `own`: to what they have made themselves.',
    '',
    row(['action', 'scope of a key', ...ROLES]),
    row(['---', '---', ...ROLES.map(() => '---')]),
    ...ALL_ACTIONS.map((action) => row([`\`${action}\``, `\`${ruleOf(action).scope}\``, ...ROLES.map((role) => cell(role, action))])),
    '',
  ].join('\n');
}
