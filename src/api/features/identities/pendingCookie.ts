import type { IncomingHttpHeaders } from 'node:http';
import { returnPath } from '../../../domain/account/returnPath.ts';
import { cookieOf } from '../../auth/cookies.ts';

/** What a browser keeps between the two halves of a sign-in, where no page of ours can read it and no other host set it. */
type Pending = { secret: string; returnTo: string };

const NAME = '__Host-tiu_sign_in';
/** Lax: it comes along when the provider sends the browser back. */
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Lax';

export const pendingCookie = ({ secret, returnTo }: Pending, maxAgeSeconds: number): string =>
  `${NAME}=${secret}.${Buffer.from(returnTo).toString('base64url')}; ${ATTRIBUTES}; Max-Age=${maxAgeSeconds}`;

export const forgetPending = `${NAME}=; ${ATTRIBUTES}; Max-Age=0`;

export function pendingOf(headers: IncomingHttpHeaders): Pending | undefined {
  const [secret = '', path = ''] = cookieOf(headers, NAME)?.split('.') ?? [];
  const returnTo = returnPath(Buffer.from(path, 'base64url').toString());
  return secret === '' || returnTo === undefined ? undefined : { secret, returnTo };
}
