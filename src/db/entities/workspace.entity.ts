import { defineEntity, p } from '@mikro-orm/core';

/** Everything but plans belongs to a workspace. */
export const Workspace = defineEntity({
  name: 'Workspace',
  tableName: 'workspace',
  properties: {
    id: p.uuid().primary(),
    name: p.text().unique(),
    created: p.datetime().length(3),
  },
});
