import { expect, test } from '@jest/globals';
import { recordable } from '../../../src/domain/audit/recordable.ts';

const HIDDEN = '[not recorded]';

test('what a thing is called is kept, what a person is called is not', () => {
  expect(recordable({ name: 'ci', scopes: ['runs:read'] }, 'key:1')).toEqual({ name: 'ci', scopes: ['runs:read'] });
  expect(recordable({ name: 'nightly', title: 'Nightly' }, 'project:1')).toEqual({ name: 'nightly', title: 'Nightly' });
  for (const object of ['user:1', 'account:1', 'invitation:1', 'identity:1', 'session:1', 'member:1'])
    expect(recordable({ name: 'ada', names: ['ada'], title: 'Dr', device: 'laptop of Ada', role: 'admin' }, object)).toEqual({
      ...{ name: HIDDEN, names: [HIDDEN], title: HIDDEN, device: HIDDEN },
      role: 'admin',
    });
});

test('nor when the person stands within a thing, however deep', () => {
  const ada = { id: 'a', name: 'ada' };
  expect(recordable({ name: 'p', by: ada, members: [ada], project: { name: 'q', owner: { account: ada } } }, 'project:1')).toEqual({
    ...{ name: 'p', by: { id: 'a', name: HIDDEN }, members: [{ id: 'a', name: HIDDEN }] },
    project: { name: 'q', owner: { account: { id: 'a', name: HIDDEN } } },
  });
});

test('secrets, mail addresses and whatever else is not in the list are kept of nothing; numbers tell nothing', () => {
  const planted = {
    secret: 's',
    password: 's',
    token: 's',
    refreshToken: 's',
    hash: 's',
    email: 's',
    fullName: 's',
    anything: ['s'],
    n: 1,
  };
  expect(recordable(planted, 'key:1')).toEqual({
    ...{ secret: HIDDEN, password: HIDDEN, token: HIDDEN, refreshToken: HIDDEN, hash: HIDDEN, email: HIDDEN, fullName: HIDDEN },
    ...{ anything: [HIDDEN], n: 1 },
  });
});
