/** What an API key may be granted. Roles hold actions, keys hold scopes: a key is made for one purpose, a person has a place. */
export const SCOPES = [
  'runs:read',
  'runs:write',
  'workflows:read',
  'workflows:write',
  'artifacts:read',
  'artifacts:write',
  'keys:manage',
  'secrets:manage',
  'system:read',
  'audit:read',
  'system:manage',
  'payloads:read',
  'payloads:write',
  'members:read',
  'members:manage',
  'workspace:manage',
  'users:manage',
  'projects:read',
  'projects:manage',
] as const;
export type Scope = (typeof SCOPES)[number];

/** The roles that every workspace has, each with what the one before may; see `roles.ts` for who has whose rights. */
export const ROLES = ['viewer', 'developer', 'project_manager', 'community_moderator', 'admin', 'owner'] as const;
export type Role = (typeof ROLES)[number];

type Rule = {
  /** What a key needs. */
  scope: Scope;
  /** The least role that may do it to anything in the workspace. */
  role: Role;
  /** The least role that may do it to what it has made itself, where that is a lesser one. */
  own?: Role;
};

/** Every action of the product and who may do it: the matrix of rights. docs/access.md is made from it. */
export const ACTIONS = {
  'workflow.check': { scope: 'workflows:read', role: 'viewer' },
  'workflow.read': { scope: 'workflows:read', role: 'viewer' },
  'workflow.store': { scope: 'workflows:write', role: 'developer' },
  'run.start': { scope: 'runs:write', role: 'developer' },
  'run.read': { scope: 'runs:read', role: 'viewer' },
  'run.cancel': { scope: 'runs:write', role: 'developer' },
  'run.pause': { scope: 'runs:write', role: 'developer' },
  'run.retry': { scope: 'runs:write', role: 'developer' },
  'run.settle': { scope: 'runs:write', role: 'project_manager', own: 'developer' },
  'run.bulk': { scope: 'runs:write', role: 'project_manager' },
  'approval.read': { scope: 'runs:read', role: 'viewer' },
  'approval.decide': { scope: 'runs:write', role: 'developer' },
  'event.send': { scope: 'runs:write', role: 'developer' },
  'hook.read': { scope: 'runs:read', role: 'viewer' },
  'hook.set': { scope: 'runs:write', role: 'project_manager' },
  'hook.delete': { scope: 'runs:write', role: 'project_manager' },
  'schedule.read': { scope: 'runs:read', role: 'viewer' },
  'schedule.create': { scope: 'runs:write', role: 'developer' },
  'schedule.update': { scope: 'runs:write', role: 'developer' },
  'schedule.pause': { scope: 'runs:write', role: 'developer' },
  'schedule.trigger': { scope: 'runs:write', role: 'developer' },
  'schedule.delete': { scope: 'runs:write', role: 'developer' },
  'queue.read': { scope: 'runs:read', role: 'viewer' },
  'limit.read': { scope: 'runs:read', role: 'viewer' },
  'report.read': { scope: 'runs:read', role: 'viewer' },
  'artifact.read': { scope: 'artifacts:read', role: 'viewer' },
  'artifact.upload': { scope: 'artifacts:write', role: 'developer' },
  'key.read': { scope: 'keys:manage', role: 'admin', own: 'developer' },
  'key.create': { scope: 'keys:manage', role: 'developer' },
  'key.revoke': { scope: 'keys:manage', role: 'admin', own: 'developer' },
  'secret.read': { scope: 'secrets:manage', role: 'developer' },
  'secret.set': { scope: 'secrets:manage', role: 'admin' },
  'secret.delete': { scope: 'secrets:manage', role: 'admin' },
  'secret.reencrypt': { scope: 'secrets:manage', role: 'admin' },
  'usage.read': { scope: 'runs:read', role: 'viewer' },
  'quota.set': { scope: 'system:manage', role: 'admin' },
  'system.read': { scope: 'system:read', role: 'admin' },
  'audit.read': { scope: 'audit:read', role: 'admin' },
  'payload.decode': { scope: 'payloads:read', role: 'admin' },
  'payload.encode': { scope: 'payloads:write', role: 'admin' },
  'member.read': { scope: 'members:read', role: 'viewer' },
  'member.set': { scope: 'members:manage', role: 'admin' },
  'member.remove': { scope: 'members:manage', role: 'admin', own: 'viewer' },
  'role.read': { scope: 'members:read', role: 'viewer' },
  'role.set': { scope: 'members:manage', role: 'admin' },
  'role.delete': { scope: 'members:manage', role: 'admin' },
  'invitation.read': { scope: 'members:manage', role: 'admin' },
  'invitation.create': { scope: 'members:manage', role: 'admin' },
  'invitation.revoke': { scope: 'members:manage', role: 'admin' },
  'project.read': { scope: 'projects:read', role: 'viewer' },
  'project.create': { scope: 'projects:manage', role: 'project_manager' },
  'project.update': { scope: 'projects:manage', role: 'project_manager' },
  'project.share': { scope: 'projects:manage', role: 'project_manager' },
  'user.read': { scope: 'users:manage', role: 'admin' },
  'user.create': { scope: 'users:manage', role: 'admin' },
  'user.update': { scope: 'users:manage', role: 'admin' },
  'user.erase': { scope: 'users:manage', role: 'admin' },
  'workspace.read': { scope: 'members:read', role: 'viewer' },
  'workspace.update': { scope: 'workspace:manage', role: 'admin' },
  'workspace.transfer': { scope: 'workspace:manage', role: 'owner' },
  'workspace.close': { scope: 'workspace:manage', role: 'owner' },
} as const satisfies Record<string, Rule>;
export type Action = keyof typeof ACTIONS;

export const ALL_ACTIONS = Object.keys(ACTIONS) as readonly Action[];

/** What each action needs, without the narrow types of the table. */
export const ruleOf = (action: Action): Rule => ACTIONS[action];
