import { defineEntity, p } from '@mikro-orm/core';

/** A principal of a workspace, and the person it belongs to, if any. Only the SHA-256 of the key is kept. */
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
    account: p.uuid().nullable(),
    expires: p.datetime().length(3).nullable(),
    revoked: p.datetime().length(3).nullable(),
    lastUsed: p.datetime().length(3).nullable(),
    version: p.integer().version(),
  },
});
