import { defineEntity, p } from '@mikro-orm/core';

/** Who did what, committed together with what was done. */
export const Audit = defineEntity({
  name: 'Audit',
  tableName: 'audit',
  properties: {
    id: p.uuid().primary(),
    workspace: p.uuid(),
    actor: p.text(),
    action: p.text(),
    subject: p.text(),
    at: p.datetime().length(3),
  },
});
