import { insertTicket, redeemTicket } from '../../db/socketTickets.ts';
import type { Deps } from '../deps.ts';
import { unauthenticated, type Authenticated } from './authenticate.ts';
import { newToken, tokenHash } from '../../db/oneTime.ts';
import { requireSecondFactor } from './secondFactor.ts';

type TicketDeps = Pick<Deps, 'authenticate' | 'clock' | 'config' | 'db'>;

const TICKET = 'tiut_';

/** A ticket that opens one socket soon, for pages that cannot read the tokens of their session. */
export async function issueTicket(deps: TicketDeps, session: string): Promise<string> {
  const ticket = newToken('tiut_');
  const now = deps.clock();
  await insertTicket(deps.db, { hash: tokenHash(ticket), session, now, expires: now + deps.config.TIU_SOCKET_TICKET_TTL });
  return ticket;
}

/** Who opens a socket: by a ticket, an access token or an API key. @throws Problem unauthenticated, second_factor_required */
export async function authenticateSocket(deps: TicketDeps, token: string | undefined): Promise<Authenticated> {
  const who = await holderOf(deps, token);
  requireSecondFactor(who.actor);
  return who;
}

async function holderOf(deps: TicketDeps, token: string | undefined): Promise<Authenticated> {
  if (!token?.startsWith(TICKET)) return deps.authenticate(token);
  const session = await redeemTicket(deps.db, { hash: tokenHash(token), now: deps.clock() });
  if (session === undefined) throw unauthenticated();
  return deps.authenticate.again({ session });
}
