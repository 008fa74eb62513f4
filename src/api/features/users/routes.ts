import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import { changeProfile } from '../../../db/repositories/profiles.ts';
import { findUser, listUsers, setUserStatus, type UserRow } from '../../../db/repositories/users.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { presentProblem, toProblem } from '../../http/problems.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { changeUserEmail } from './changeUserEmail.ts';
import { createUser } from './createUser.ts';
import {
  BulkUsers,
  BulkUsersResult,
  ChangeUser,
  ChangeUserEmail,
  CreateUser,
  MailSent,
  User,
  UserList,
  userParams,
  usersQuery,
} from './schemas.ts';

const tag = 'users';
const repeatable = ['idempotency_mismatch', 'idempotency_in_progress'] as const;

const presentUser = (user: UserRow) => ({
  id: user.id,
  name: user.name,
  fullName: user.full_name,
  email: user.email,
  emailVerified: user.email_verified !== null,
  status: user.status,
  createdAt: iso(user.created),
  createdBy: user.created_by,
  lastLoginAt: maybeIso(user.last_login),
  workspaces: user.workspaces,
});

/** All people are of the installation: whoever acts in another workspace finds none. */
const loadAll = () => Promise.resolve({ workspace: SYSTEM_WORKSPACE });
const loadUser = ({ deps, params }: Pick<Call<{ id: string }, never, never, never>, 'deps' | 'params'>) =>
  UUID.test(params.id) ? findUser(deps.engine, params.id) : Promise.resolve(undefined);

const list = defineRoute({
  method: 'get',
  path: '/api/v1/users',
  action: 'user.read',
  cost: 'read',
  tag,
  summary: 'People of the installation, newest first',
  description: 'For operators: those who act in the system workspace.',
  request: { query: usersQuery },
  responses: { 200: { description: 'A page', schema: UserList } },
  load: loadAll,
  handler: async ({ deps, query }) => {
    const page = { before: fromCursor(query.cursor, UUID), limit: query.limit + 1 };
    const { rows, nextCursor } = pageOf(await listUsers(deps.engine, query, page), query.limit, (row) => row.id);
    return { status: 200, body: { items: rows.map(presentUser), nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/users/{id}',
  action: 'user.read',
  cost: 'read',
  tag,
  summary: 'One person',
  request: { params: userParams, query: noQuery },
  responses: { 200: { description: 'The person', schema: User } },
  load: loadUser,
  handler: ({ resource }) => Promise.resolve({ status: 200, body: presentUser(resource) }),
});

/** @throws Problem not_found, state_conflict (oneself, or erased), unauthenticated */
async function setStatus(deps: Deps, actor: Actor, { id, status }: { id: string; status: 'active' | 'disabled' }): Promise<UserRow> {
  if (id === actor.account) throw new Problem('state_conflict', { detail: 'Nobody does this to themselves' });
  const done = await setUserStatus(deps.engine, id, { status, by: actor.principal, account: actor.account });
  if (done === 'refused') throw new Problem('unauthenticated');
  deps.authenticate.forget(`account:${id}`);
  const user = await findUser(deps.engine, id);
  if (!user) throw new Problem('not_found');
  if (user.status !== status) throw new Problem('state_conflict', { detail: `The account is ${user.status}` });
  return user;
}

const change = (verb: 'activate' | 'disable', summary: string) =>
  defineRoute({
    method: 'post',
    path: `/api/v1/users/{id}/${verb}`,
    action: 'user.update',
    cost: 'write',
    tag,
    summary,
    request: { params: userParams, query: noQuery },
    responses: { 200: { description: 'It holds at once', schema: User } },
    problems: ['state_conflict', ...repeatable],
    idempotency: 'stored',
    load: loadUser,
    handler: async ({ deps, actor, resource }) => {
      const user = await setStatus(deps, actor, { id: resource.id, status: STATUS[verb] });
      return { status: 200, body: presentUser(user) };
    },
  });
const STATUS = { activate: 'active', disable: 'disabled' } as const;

const activate = change('activate', 'Let somebody sign in again');
const disable = change('disable', 'Let somebody sign in no longer: their sessions and keys end, what is theirs stays');

const bulk = defineRoute({
  method: 'post',
  path: '/api/v1/users/bulk',
  action: 'user.update',
  cost: 'batch',
  tag,
  summary: 'Activate or disable 1 to 100 people',
  description: 'One after the other, each as if it had come alone; never oneself.',
  request: { query: noQuery, body: { schema: BulkUsers } },
  responses: { 207: { description: 'What became of each, in their order', schema: BulkUsersResult } },
  problems: repeatable,
  idempotency: 'stored',
  load: loadAll,
  handler: async ({ deps, actor, body, requestId }) => {
    const results = [];
    for (const [index, id] of body.ids.entries()) {
      const one = await setStatus(deps, actor, { id, status: STATUS[body.action] }).then(
        (user) => ({ status: 200, data: presentUser(user) }),
        (error: unknown) => {
          const problem = toProblem(error);
          return { status: problem.status, problem: presentProblem(problem, requestId) };
        },
      );
      results.push({ index, id, ...one });
    }
    const failed = results.filter(({ status }) => status !== 200).length;
    return { status: 207, body: { results, summary: { total: results.length, succeeded: results.length - failed, failed } } };
  },
});

const create = defineRoute({
  method: 'post',
  path: '/api/v1/users',
  action: 'user.create',
  cost: 'write',
  tag,
  summary: 'Make an account for somebody',
  description:
    'A link to set its password goes to the mail address, which is proven by whoever uses it. No password is in the request or the answer.',
  request: { query: noQuery, body: { schema: CreateUser } },
  responses: { 201: { description: 'Made; a mail is on its way', schema: User } },
  problems: ['name_taken', 'email_taken', 'not_configured', 'overloaded', ...repeatable],
  idempotency: 'stored',
  load: loadAll,
  handler: async ({ deps, actor, body }) => {
    const user = await findUser(deps.engine, await createUser(deps, actor, body));
    if (!user) throw new Problem('not_found');
    return { status: 201, body: presentUser(user) };
  },
});

const update = defineRoute({
  method: 'patch',
  path: '/api/v1/users/{id}',
  action: 'user.update',
  cost: 'write',
  tag,
  summary: 'Change what a person says of themselves',
  description: 'Name and password are changed by the person alone; of the mail address there is another route.',
  request: { params: userParams, query: noQuery, body: { schema: ChangeUser } },
  responses: { 200: { description: 'Changed', schema: User } },
  problems: ['state_conflict'],
  load: loadUser,
  handler: async ({ deps, actor, resource, body }) => {
    const of = { account: resource.id, by: actor.principal, version: undefined };
    if (!(await changeProfile(deps.engine, of, body))) throw new Problem('state_conflict', { detail: 'The account is erased' });
    return { status: 200, body: presentUser((await findUser(deps.engine, resource.id)) ?? resource) };
  },
});

const changeEmail = defineRoute({
  method: 'post',
  path: '/api/v1/users/{id}/email',
  action: 'user.update',
  cost: 'write',
  tag,
  summary: 'Ask somebody to confirm another mail address',
  description:
    'For a person who cannot reach theirs any more; it changes when the link in the mail is opened, and the old address is told.',
  request: { params: userParams, query: noQuery, body: { schema: ChangeUserEmail } },
  responses: { 202: { description: 'A mail is on its way', schema: MailSent } },
  problems: ['reauthentication_required', 'email_taken', 'state_conflict', 'not_configured', 'overloaded', ...repeatable],
  idempotency: 'stored',
  load: loadUser,
  handler: async ({ deps, actor, resource, body }) => {
    await changeUserEmail(deps, actor, { user: resource, address: body.email });
    return { status: 202, body: { status: 'mail_sent' } };
  },
});

export const userRoutes: readonly Route[] = [list, create, bulk, read, update, activate, disable, changeEmail];
