import { defineRoute, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { changeEmail, confirmEmail } from './changeEmail.ts';
import { changePassword } from './changePassword.ts';
import { register, verifyRegistration } from './register.ts';
import { forgotPassword, resetPassword } from './resetPassword.ts';
import {
  Accepted,
  ChangeEmail,
  ChangePassword,
  ConfirmEmail,
  ForgotPassword,
  Register,
  Registered,
  ResetPassword,
  VerifyEmail,
} from './schemas.ts';

const tag = 'account';
const asked: Reply = { status: 202, body: { status: 'mail_sent_if_possible' } };

const registerRoute = defineRoute({
  method: 'post',
  path: '/api/v1/auth/register',
  action: 'public',
  cost: 'reset',
  tag,
  summary: 'Ask for an account',
  description: 'Where registration is open. A mail has a link that makes the account; the answer tells nothing of who has one.',
  request: { query: noQuery, body: { schema: Register } },
  responses: { 202: { description: 'A mail is on its way', schema: Accepted } },
  problems: ['registration_closed', 'rate_limited', 'not_configured'],
  handler: async ({ deps, body }) => {
    await register(deps, body);
    return asked;
  },
});

const verify = defineRoute({
  method: 'post',
  path: '/api/v1/auth/verify-email',
  action: 'public',
  cost: 'code',
  tag,
  summary: 'Make the account whose link was sent',
  request: { query: noQuery, body: { schema: VerifyEmail } },
  responses: { 201: { description: 'Made; sign in now', schema: Registered } },
  problems: ['link_invalid', 'invalid_credentials', 'name_taken', 'too_many_tries', 'sign_in_disabled'],
  handler: async ({ deps, body }) => ({ status: 201, body: await verifyRegistration(deps, body) }),
});

const forgot = defineRoute({
  method: 'post',
  path: '/api/v1/auth/forgot-password',
  action: 'public',
  cost: 'reset',
  tag,
  summary: 'Ask for a link to set another password',
  request: { query: noQuery, body: { schema: ForgotPassword } },
  responses: { 202: { description: 'If somebody has the address, a mail is on its way', schema: Accepted } },
  problems: ['rate_limited', 'not_configured'],
  handler: async ({ deps, body }) => {
    await forgotPassword(deps, body);
    return asked;
  },
});

const reset = defineRoute({
  method: 'post',
  path: '/api/v1/auth/reset-password',
  action: 'public',
  cost: 'code',
  tag,
  summary: 'Set another password with a link',
  description: 'Ends all sessions. A second factor is asked for at the next sign-in as before.',
  request: { query: noQuery, body: { schema: ResetPassword } },
  responses: { 204: { description: 'Set' } },
  problems: ['link_invalid'],
  handler: async ({ deps, body }) => {
    await resetPassword(deps, body);
    return { status: 204 };
  },
});

const password = defineRoute({
  method: 'post',
  path: '/api/v1/auth/change-password',
  action: 'self',
  cost: 'code',
  tag,
  summary: 'Set another password',
  request: { query: noQuery, body: { schema: ChangePassword } },
  responses: { 204: { description: 'Set; other sessions have ended, unless asked otherwise' } },
  problems: ['invalid_credentials', 'too_many_tries', 'sign_in_disabled', 'reauthentication_required'],
  handler: async ({ deps, actor, body }) => {
    await changePassword(deps, actor, body);
    return { status: 204 };
  },
});

const email = defineRoute({
  method: 'post',
  path: '/api/v1/auth/change-email',
  action: 'self',
  cost: 'reset',
  tag,
  summary: 'Ask for another mail address',
  description: 'The new address is confirmed by a link; the old one is told.',
  request: { query: noQuery, body: { schema: ChangeEmail } },
  responses: { 202: { description: 'A mail is on its way', schema: Accepted } },
  problems: ['reauthentication_required', 'rate_limited', 'not_configured'],
  handler: async ({ deps, actor, body }) => {
    await changeEmail(deps, actor, body);
    return asked;
  },
});

const confirm = defineRoute({
  method: 'post',
  path: '/api/v1/auth/change-email/confirm',
  action: 'public',
  cost: 'code',
  tag,
  summary: 'Confirm another mail address with a link',
  request: { query: noQuery, body: { schema: ConfirmEmail } },
  responses: { 204: { description: 'The account has it now' } },
  problems: ['link_invalid'],
  handler: async ({ deps, body }) => {
    await confirmEmail(deps, body);
    return { status: 204 };
  },
});

export const accountRoutes: readonly Route[] = [registerRoute, verify, forgot, reset, password, email, confirm];
