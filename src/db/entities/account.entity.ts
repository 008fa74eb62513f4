import { defineEntity, p } from '@mikro-orm/core';

/** A person. What they may do stands in memberships. `nameKey` and `emailKey` are normalised, for uniqueness. */
export const Account = defineEntity({
  name: 'Account',
  tableName: 'account',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    nameKey: p.text(),
    email: p.text().nullable(),
    emailKey: p.text().nullable(),
    emailVerified: p.datetime().length(3).nullable(),
    fullName: p.text().nullable(),
    password: p.text().nullable(),
    passwordAt: p.datetime().length(3).nullable(),
    status: p.text(),
    created: p.datetime().length(3),
    createdBy: p.text(),
    lastLogin: p.datetime().length(3).nullable(),
    version: p.integer().version(),
  },
});
