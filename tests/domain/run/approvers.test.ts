import { expect, test } from '@jest/globals';
import type { Role } from '../../../src/domain/access/actions.ts';
import { keyActor, type Actor } from '../../../src/domain/access/can.ts';
import { RIGHTS, rolesWithin, scopesOf } from '../../../src/domain/access/roles.ts';
import { mayDecide, type Approval } from '../../../src/domain/run/approvers.ts';

const aPerson = (role: Role): Actor => ({
  ...{ principal: 'user:7', name: 'Ada', workspace: 'w', roles: rolesWithin(role), projects: new Map(), ...RIGHTS[role] },
  grants: new Set(scopesOf(RIGHTS[role])),
});
const asked = (...approvers: string[]): Approval => ({ message: '?', onReject: 'fail', approvers });

test.each<[string, Role, string, boolean]>([
  ['a person is meant by id', 'developer', 'user:7', true],
  ['a person is meant by name, however it is written', 'developer', 'user:ada', true],
  ['another person is not', 'owner', 'user:8', false],
  ['a role means who has it', 'project_manager', 'role:project_manager', true],
  ['and who has one above it', 'owner', 'role:project_manager', true],
  ['but not who has one beside it', 'community_moderator', 'role:project_manager', false],
  ['nor below it', 'developer', 'role:project_manager', false],
  ['a scope means who may do all of it', 'owner', 'scope:secrets:manage', true],
  ['and not who may do a part of it', 'developer', 'scope:secrets:manage', false],
  ['a key is no person', 'owner', 'key:7', false],
])('%s', (_, role, approver, meant) => {
  expect(mayDecide(aPerson(role), asked(approver), 0)).toBe(meant);
});

test('a key decides by its id or its scope, never by a role or a name', () => {
  const key = keyActor({ id: '7', workspace: 'w', scopes: ['runs:write'] });
  for (const [approver, meant] of [
    ['key:7', true],
    ['scope:runs:write', true],
    ['scope:runs:read', false],
    ['role:developer', false],
    ['user:7', false],
  ] as const)
    expect(mayDecide(key, asked(approver), 0)).toBe(meant);
});

test('those of the escalation may decide once its time has come', () => {
  const approval: Approval = { ...asked('user:8'), escalate: { afterMs: 1_000, approvers: ['role:admin'] } };
  expect(mayDecide(aPerson('admin'), approval, 999)).toBe(false);
  expect(mayDecide(aPerson('admin'), approval, 1_000)).toBe(true);
});
