/** What a key may be granted. Roles, when they come, are sets of these. */
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
  'payloads:read',
  'payloads:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Every action of the product and the scope it needs. */
export const ACTIONS = {
  'workflow.check': 'workflows:read',
  'workflow.read': 'workflows:read',
  'workflow.store': 'workflows:write',
  'run.start': 'runs:write',
  'run.read': 'runs:read',
  'run.cancel': 'runs:write',
  'run.pause': 'runs:write',
  'run.retry': 'runs:write',
  'run.settle': 'runs:write',
  'approval.read': 'runs:read',
  'approval.decide': 'runs:write',
  'event.send': 'runs:write',
  'hook.read': 'runs:read',
  'hook.set': 'runs:write',
  'hook.delete': 'runs:write',
  'run.bulk': 'runs:write',
  'schedule.read': 'runs:read',
  'schedule.create': 'runs:write',
  'schedule.update': 'runs:write',
  'schedule.pause': 'runs:write',
  'schedule.trigger': 'runs:write',
  'schedule.delete': 'runs:write',
  'queue.read': 'runs:read',
  'limit.read': 'runs:read',
  'report.read': 'runs:read',
  'artifact.read': 'artifacts:read',
  'artifact.upload': 'artifacts:write',
  'key.read': 'keys:manage',
  'key.create': 'keys:manage',
  'key.revoke': 'keys:manage',
  'secret.read': 'secrets:manage',
  'secret.set': 'secrets:manage',
  'secret.delete': 'secrets:manage',
  'secret.reencrypt': 'secrets:manage',
  'system.read': 'system:read',
  'payload.decode': 'payloads:read',
  'payload.encode': 'payloads:write',
} as const satisfies Record<string, Scope>;
export type Action = keyof typeof ACTIONS;

/** Who acts. `principal` is what rows record, `key:<uuid>` today. */
export type Actor = { principal: string; workspace: string; grants: ReadonlySet<Scope> };

/** What is acted on: as much of it as the decision needs. */
export type Resource = { workspace: string };

/** The one decision about rights. An object of another workspace is nobody's business, whatever is granted. */
export const can = (actor: Actor, action: Action, resource: Resource): boolean =>
  actor.workspace === resource.workspace && actor.grants.has(ACTIONS[action]);
