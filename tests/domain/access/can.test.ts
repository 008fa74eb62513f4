import { expect, test } from '@jest/globals';
import { ALL_ACTIONS, ROLES, SCOPES } from '../../../src/domain/access/actions.ts';
import { can, keyActor, mayEver, type Actor } from '../../../src/domain/access/can.ts';
import { NO_RIGHTS, RIGHTS, rightsOfScopes, rolesWithin, scopesOf } from '../../../src/domain/access/roles.ts';

const aPerson = (role: keyof typeof RIGHTS, more: Partial<Actor> = {}): Actor => ({
  ...{ principal: 'user:1', workspace: 'w', grants: new Set(), roles: rolesWithin(role), projects: new Map(), ...RIGHTS[role] },
  ...more,
});

test('each role may do what those within it may', () => {
  for (const role of ROLES)
    for (const within of rolesWithin(role))
      for (const kind of ['actions', 'own'] as const)
        expect([...RIGHTS[role][kind]]).toEqual(expect.arrayContaining([...RIGHTS[within][kind]]));
  expect(RIGHTS.owner.actions.size).toBe(ALL_ACTIONS.length);
  expect(rolesWithin('admin')).toEqual(new Set(['admin', 'project_manager', 'community_moderator', 'developer', 'viewer']));
});

test('an object of another workspace is refused whatever is granted', () => {
  for (const action of ALL_ACTIONS) {
    expect(can(aPerson('owner'), action, { workspace: 'w' })).toBe(true);
    expect(can(aPerson('owner'), action, { workspace: 'other', owner: 'user:1' })).toBe(false);
  }
});

test('what is its own may be done by a lesser role', () => {
  const person = aPerson('developer');
  expect(can(person, 'run.settle', { workspace: 'w' })).toBe(false);
  expect(can(person, 'run.settle', { workspace: 'w', owner: 'user:2' })).toBe(false);
  expect(can(person, 'run.settle', { workspace: 'w', owner: 'user:1' })).toBe(true);
  expect(mayEver(person, 'run.settle')).toBe(true);
  expect(mayEver(aPerson('viewer'), 'run.settle')).toBe(false);
});

test('a role in a project counts for what is of that project alone', () => {
  const person = aPerson('viewer', { projects: new Map([['p', RIGHTS.developer]]) });
  expect(can(person, 'run.cancel', { workspace: 'w', project: 'p' })).toBe(true);
  for (const project of ['q', null]) expect(can(person, 'run.cancel', { workspace: 'w', project })).toBe(false);
  expect(can(person, 'run.cancel', { workspace: 'w' })).toBe(false);
  expect(mayEver(person, 'run.cancel')).toBe(true);
});

test('a key has what its scopes say, and never more than the person it belongs to', () => {
  const key = keyActor({ id: '1', workspace: 'w', scopes: ['runs:write'] });
  expect(can(key, 'run.settle', { workspace: 'w' })).toBe(true);
  expect(can(key, 'run.read', { workspace: 'w' })).toBe(false);
  expect(rightsOfScopes(['runs:write'], RIGHTS.viewer)).toEqual(NO_RIGHTS);
  const ofDeveloper = rightsOfScopes(SCOPES, RIGHTS.developer);
  expect(ofDeveloper).toEqual({ actions: new Set(RIGHTS.developer.actions), own: new Set(RIGHTS.developer.own) });
});

test('a scope may be handed on by who may do all of its actions', () => {
  expect(scopesOf(RIGHTS.owner)).toEqual([...SCOPES]);
  expect(scopesOf(RIGHTS.viewer)).toEqual(['runs:read', 'workflows:read', 'artifacts:read', 'members:read', 'projects:read']);
});
