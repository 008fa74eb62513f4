import { defineEntity, p } from '@mikro-orm/core';

/** Who did what, or was refused it, committed together with what was done. */
export const Audit = defineEntity({
  name: 'Audit',
  tableName: 'audit',
  properties: {
    id: p.uuid().primary(),
    workspace: p.uuid(),
    actor: p.text(),
    action: p.text(),
    subject: p.text(),
    data: p.json().nullable(),
    before: p.json().nullable(),
    after: p.json().nullable(),
    result: p.text(),
    code: p.text().nullable(),
    request: p.text().nullable(),
    address: p.text().nullable(),
    at: p.datetime().length(3),
  },
});
