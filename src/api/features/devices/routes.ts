import { randomBytes, randomInt } from 'node:crypto';
import type { Actor } from '../../../domain/access/can.ts';
import { newUserCode, normaliseUserCode } from '../../../domain/account/userCode.ts';
import { Problem } from '../../../domain/problem.ts';
import { decideDevice, findAskingDevice, insertDeviceGrant, pollDevice, redeemDevice, type DeviceState } from '../../../db/deviceGrants.ts';
import { unauthenticated } from '../../auth/authenticate.ts';
import { openSession, type OpenedSession } from '../../auth/openSession.ts';
import type { Origin } from '../../auth/origin.ts';
import { linkTo } from '../../auth/publicUrl.ts';
import { SessionGrant } from '../../auth/sessionGrant.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { AskDevice, AskingDevice, DeviceAsked, PollDevice, userCodeParams } from './schemas.ts';

const tag = 'sign-in';
const TTL_MS = 600_000;
const PAUSE_MS = 5_000;
/** Codes for people that are tried until one is free: of 25 billion two that are asked for at once hardly meet. */
const TRIES = 5;

const ask = defineRoute({
  method: 'post',
  path: '/api/v1/auth/device',
  action: 'public',
  cost: 'auth',
  tag,
  summary: 'Ask to be signed in by somebody who sits elsewhere',
  description: 'Device authorization (RFC 8628) for what has no browser: show the person the address and the code, and poll.',
  request: { query: noQuery, body: { schema: AskDevice } },
  responses: { 200: { description: 'What to show, and what to poll with', schema: DeviceAsked } },
  problems: ['sign_in_not_configured'],
  handler: async ({ deps, body, origin }) => {
    if (!deps.tokens.isConfigured) throw new Problem('sign_in_not_configured');
    const { deviceCode, userCode } = await newGrant(deps, { device: body.deviceName ?? null, origin });
    const link = linkTo(deps.config, 'device', userCode);
    return {
      status: 200,
      body: {
        deviceCode,
        userCode,
        verificationUri: link.slice(0, link.indexOf('#')),
        verificationUriComplete: link,
        expiresIn: TTL_MS / 1_000,
        interval: PAUSE_MS / 1_000,
      },
    };
  },
});

async function newGrant(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  { device, origin }: { device: string | null; origin: Origin },
): Promise<{ deviceCode: string; userCode: string }> {
  const { ip, userAgent } = origin;
  for (let left = TRIES; left > 0; left -= 1) {
    const codes = { deviceCode: `tiuo_${randomBytes(32).toString('base64url')}`, userCode: newUserCode((below) => randomInt(below)) };
    if (await insertDeviceGrant(db, { ...codes, device, ip, userAgent, now: clock(), ttlMs: TTL_MS, pauseMs: PAUSE_MS })) return codes;
  }
  throw new Problem('unavailable');
}

const REFUSALS = {
  pending: 'authorization_pending',
  slow: 'slow_down',
  denied: 'access_denied',
  gone: 'expired_token',
} as const satisfies Record<DeviceState, string>;

const token = defineRoute({
  method: 'post',
  path: '/api/v1/auth/device/token',
  action: 'public',
  cost: 'auth',
  tag,
  summary: 'Ask whether a person has said yes',
  description: 'The tokens are given once. The session acts where the one did in which the person said yes, and has proved no more.',
  request: { query: noQuery, body: { schema: PollDevice } },
  responses: { 200: { description: 'Signed in', schema: SessionGrant } },
  problems: [...Object.values(REFUSALS), 'sign_in_not_configured'],
  handler: async ({ deps, body, origin }) => ({ status: 200, body: await redeemed(deps, body.deviceCode, origin) }),
});

/** @throws Problem authorization_pending | slow_down | access_denied | expired_token (also for a code that nobody was given) */
async function redeemed(deps: Deps, deviceCode: string, { ip, userAgent }: Origin): Promise<OpenedSession> {
  if (!deps.tokens.isConfigured) throw new Problem('sign_in_not_configured');
  const of = { deviceCode, now: deps.clock() };
  const approved = await redeemDevice(deps.db, of);
  if (!approved) throw new Problem(REFUSALS[await pollDevice(deps.db, of)]);
  const { account, device, acts, mfa, proved } = approved;
  return openSession(deps, {
    ...{ account, method: 'device', mfa, workspace: acts, provedAt: proved, ip, userAgent },
    ...(device !== null && { device }),
  }).catch((error: unknown) => {
    // the account was disabled since
    throw error instanceof Problem && error.code === 'unauthenticated' ? new Problem('access_denied') : error;
  });
}

/** The code as it is shown. Each try of a person is counted, right or wrong, before it is looked up. @throws Problem rate_limited | not_found */
async function triedCode({ limits }: Pick<Deps, 'limits'>, { account }: Actor, text: string): Promise<string> {
  if (account === undefined) throw unauthenticated();
  await limits.take({ class: 'code', key: `account:device:${account}` });
  const userCode = normaliseUserCode(text);
  if (userCode === undefined) throw new Problem('not_found');
  return userCode;
}

const look = defineRoute({
  method: 'get',
  path: '/api/v1/auth/device/{userCode}',
  action: 'self',
  cost: 'code',
  tag,
  summary: 'Which device asks to be signed in',
  description: 'Codes that are unknown, used or over are answered alike.',
  request: { params: userCodeParams, query: noQuery },
  responses: { 200: { description: 'What it says of itself, and where it asks from', schema: AskingDevice } },
  problems: ['not_found'],
  handler: async ({ deps, actor, params }) => {
    const userCode = await triedCode(deps, actor, params.userCode);
    const found = await findAskingDevice(deps.db, { userCode, now: deps.clock() });
    if (!found) throw new Problem('not_found');
    const { device, ip, user_agent: userAgent, created, expires } = found;
    return { status: 200, body: { userCode, deviceName: device, ip, userAgent, createdAt: iso(created), expiresAt: iso(expires) } };
  },
});

const decide = (decision: 'approved' | 'denied', word: 'approve' | 'deny'): Route =>
  defineRoute({
    method: 'post',
    path: `/api/v1/auth/device/{userCode}/${word}`,
    action: 'self',
    cost: 'code',
    tag,
    summary: decision === 'approved' ? 'Sign a device in as oneself' : 'Refuse a device',
    description: 'Once. Codes that are unknown, used or over are answered alike.',
    request: { params: userCodeParams, query: noQuery },
    responses: { 204: { description: 'Decided' } },
    problems: ['not_found'],
    handler: async ({ deps, actor, params }) => {
      const userCode = await triedCode(deps, actor, params.userCode);
      const session = actor.session?.id ?? '';
      if (!(await decideDevice(deps.db, { userCode, decision, session, now: deps.clock() }))) throw new Problem('not_found');
      return { status: 204 };
    },
  });

export const deviceRoutes: readonly Route[] = [ask, token, look, decide('approved', 'approve'), decide('denied', 'deny')];
