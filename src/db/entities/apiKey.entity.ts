import { defineEntity, p } from '@mikro-orm/core';

/** A principal of a workspace. Only the SHA-256 of the key is kept. */
export const ApiKey = defineEntity({
  name: 'ApiKey',
  tableName: 'api_key',
  properties: {
    id: p.uuid().primary(),
    workspace: p.uuid(),
    name: p.text(),
    hash: p.blob(),
    scopes: p.array(),
    created: p.datetime().length(3),
    revoked: p.datetime().length(3).nullable(),
    lastUsed: p.datetime().length(3).nullable(),
    version: p.integer().version(),
  },
});
