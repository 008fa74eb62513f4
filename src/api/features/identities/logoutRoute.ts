import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { endIssuerSessions } from '../../../db/sessions.ts';
import { defineRoute } from '../../route.ts';
import { noQuery, text } from '../../schemas.ts';
import { providerOf } from './finishSignIn.ts';
import { providerParams } from './schemas.ts';

const MAX_TOKEN = 8_192;
const LogoutToken = z
  .object({ logout_token: text(MAX_TOKEN) })
  .meta({ id: 'LogoutToken', description: 'What else is sent is passed over' });

export const logoutRoute = defineRoute({
  method: 'post',
  path: '/api/v1/auth/sign-in/{provider}/logout',
  action: 'public',
  cost: 'public',
  tag: 'sign-in',
  summary: 'Where a provider says that somebody has signed out there',
  description:
    'OpenID Connect Back-Channel Logout 1.0: the sessions that began with that sign-in end, in every process, with their sockets and streams.',
  request: { params: providerParams, query: noQuery, body: { schema: LogoutToken, form: true } },
  responses: { 200: { description: 'They have ended, or had already', schema: z.object({ status: z.literal('done') }) } },
  problems: ['not_found', 'malformed_request', 'sign_in_unavailable'],
  handler: async ({ deps, params, body }) => {
    const { provider } = providerOf(deps, params.provider);
    const told = await provider.loggedOut(body.logout_token).catch((error: unknown) => {
      // the answer that the standard wants; nothing says what is wrong with it
      if (error instanceof Problem && error.code === 'sign_in_refused')
        throw new Problem('malformed_request', { detail: 'The logout token is not accepted', cause: error });
      throw error;
    });
    await endIssuerSessions(deps.db, told);
    return { status: 200, body: { status: 'done' } };
  },
});
