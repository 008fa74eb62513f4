import { defineEntity, p } from '@mikro-orm/core';

/** What an account may do in a workspace, who says so, and until when. */
export const Membership = defineEntity({
  name: 'Membership',
  tableName: 'membership',
  properties: {
    workspace: p.uuid().primary(),
    account: p.uuid().primary(),
    role: p.text(),
    grantedBy: p.text(),
    granted: p.datetime().length(3),
    expires: p.datetime().length(3).nullable(),
    version: p.integer().version(),
  },
});
