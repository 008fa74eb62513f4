import { Problem } from '../../domain/problem.ts';
import { newToken, tokenHash } from '../../db/oneTime.ts';
import { endSurplus, insertSession, type IssuerSession, type SessionMethod, type SessionPlace } from '../../db/sessions.ts';
import type { Deps } from '../deps.ts';

type SessionRequest = {
  account: string;
  method: SessionMethod;
  /** Whether a second factor was shown. */
  mfa: boolean;
  /** When the person last proved who they are, ms since the epoch; now without it. */
  provedAt?: number;
  remember?: boolean;
  /** What the person calls the device. */
  device?: string;
  ip: string;
  userAgent: string;
  /** Of a sign-in with an issuer. */
  issuer?: IssuerSession;
  /** Where to act; ignored unless the person is a member there. */
  workspace?: string;
};

/** What a client is given. `expiresIn` in seconds; `workspace` and `role` are null for who is a member of none. */
export type OpenedSession = {
  sessionId: string;
  accessToken: string;
  tokenType: 'Bearer';
  expiresIn: number;
  refreshToken: string;
  workspace: string | null;
  role: string | null;
};

type SessionDeps = Pick<Deps, 'config' | 'db' | 'tokens' | 'clock'>;

/** Longest of what a client says of itself that is kept, characters. */
const MAX_TEXT = 300;

/**
 * Opens a session of somebody who has just proved who they are. Always a new one; the oldest ends if the person has too many.
 * @throws Problem sign_in_not_configured | unauthenticated (the account is not active)
 */
export async function openSession(deps: SessionDeps, request: SessionRequest): Promise<OpenedSession> {
  const { config, db, tokens } = deps;
  if (!tokens.isConfigured) throw notConfigured();
  const { account, method, mfa, remember = false, device, workspace, issuer } = request;
  const now = deps.clock();
  const proved = Math.min(request.provedAt ?? now, now);
  const refreshToken = newToken('tiur_');
  const place = await insertSession(db, {
    ...{
      account,
      method,
      mfa,
      remember,
      workspace,
      now,
      proved,
      issuer,
      device: device?.slice(0, MAX_TEXT),
      refreshHash: tokenHash(refreshToken),
    },
    ip: request.ip,
    userAgent: request.userAgent.slice(0, MAX_TEXT),
    idleMs: remember ? config.TIU_SESSION_REMEMBER_IDLE : config.TIU_SESSION_IDLE,
    lifeMs: remember ? config.TIU_SESSION_REMEMBER_LIFE : config.TIU_SESSION_LIFE,
  });
  if (!place) throw new Problem('unauthenticated');
  await endSurplus(db, { account, max: config.TIU_MAX_SESSIONS, now });
  return grantOf(tokens, place, refreshToken);
}

/** Tokens of a session, as a client is given them. */
export const grantOf = async (tokens: Deps['tokens'], place: SessionPlace, refreshToken: string): Promise<OpenedSession> => ({
  ...(await accessOf(tokens, place)),
  refreshToken,
});

/** The same for a session whose refresh token stays. */
export async function accessOf(tokens: Deps['tokens'], place: SessionPlace): Promise<Omit<OpenedSession, 'refreshToken'>> {
  const { id, account, workspace, role } = place;
  return {
    sessionId: id,
    accessToken: await tokens.signAccess({ account, session: id, workspace, role }),
    tokenType: 'Bearer',
    expiresIn: Math.floor(tokens.accessMs / 1_000),
    workspace: role === null ? null : workspace,
    role,
  };
}

export const notConfigured = (): Problem =>
  new Problem('sign_in_not_configured', { detail: 'Set TIU_TOKEN_KEYS or TIU_TOKEN_KEYS_FILE for the api processes' });
