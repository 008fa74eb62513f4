import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { grantReply } from '../../auth/cookies.ts';
import { publicUrl } from '../../auth/publicUrl.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { finishSignIn } from './finishSignIn.ts';
import { forgetPending, pendingOf } from './pendingCookie.ts';
import { providerParams } from './schemas.ts';

/** Where a provider sends a browser that has begun with `returnTo`. */
export const browserCallback = (deps: Pick<Deps, 'config'>, provider: string): string =>
  new URL(`/api/v1/auth/oauth/${provider}/callback`, publicUrl(deps.config)).href;

const callback = defineRoute({
  method: 'get',
  path: '/api/v1/auth/oauth/{provider}/callback',
  action: 'public',
  cost: 'auth',
  tag: 'sign-in',
  summary: 'Where a provider sends the browser of somebody who began with `returnTo`',
  description:
    'Finishes what this browser has begun, which its cookie says, and goes on to the path that was given then; what went wrong is its `error`.',
  // providers send more than code, state and iss
  request: { params: providerParams, query: z.looseObject({}) },
  responses: { 303: { description: 'Back, with the cookies of a session or with `error=<code of a problem>`' } },
  problems: ['sign_in_refused'],
  handler: async ({ deps, params, headers, raw, origin }) => {
    const pending = pendingOf(headers);
    // an answer that somebody else's browser has asked for would sign this one in as them
    if (!pending) throw new Problem('sign_in_refused', { detail: 'This browser has begun no sign-in, or too long ago' });
    const query = raw.url ?? '';
    const answer = query.slice(query.indexOf('?') + 1);
    const back = (more: { error?: string; cookies?: readonly string[] }) => backTo(deps, pending.returnTo, more);
    try {
      const done = await finishSignIn(deps, { provider: params.provider, answer, secret: pending.secret, origin });
      if (done === 'linked') return back({});
      const { headers: set } = grantReply(done.opened, { transport: 'cookie', remember: done.remember, config: deps.config });
      return back({ cookies: [set?.['set-cookie'] ?? []].flat() });
    } catch (error) {
      if (error instanceof Problem) return back({ error: error.code });
      throw error;
    }
  },
});

/** @param path as `returnPath` gives it: it cannot leave our origin */
function backTo({ config }: Pick<Deps, 'config'>, path: string, more: { error?: string; cookies?: readonly string[] }): Reply {
  const url = new URL(path, publicUrl(config));
  if (more.error !== undefined) url.searchParams.set('error', more.error);
  return { status: 303, headers: { location: url.href, 'set-cookie': [forgetPending, ...(more.cookies ?? [])] } };
}

export const browserRoutes: readonly Route[] = [callback];
