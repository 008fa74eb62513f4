import { expect, test } from '@jest/globals';
import { ROLES } from '../../../src/domain/access/actions.ts';
import { temporalPermissions } from '../../../src/domain/access/temporalPermissions.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';

const OTHER = '00000000-0000-7000-8000-000000000001';

test.each([
  ['viewer', ['default:read']],
  ['developer', ['default:write']],
  ['project_manager', ['default:write']],
  ['community_moderator', ['default:write']],
  ['admin', ['temporal-system:admin', 'default:admin']],
  ['owner', ['temporal-system:admin', 'default:admin']],
  ['of_our_own', []],
  [null, []],
])('a member of the system workspace as %s', (role, permissions) => {
  expect(temporalPermissions({ workspace: SYSTEM_WORKSPACE, role }, 'Default')).toEqual(permissions);
});

test('nobody gets any for a role elsewhere', () => {
  for (const role of [...ROLES, null]) expect(temporalPermissions({ workspace: OTHER, role }, 'default')).toEqual([]);
});
