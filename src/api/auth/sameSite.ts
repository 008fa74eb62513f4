import type { IncomingHttpHeaders } from 'node:http';
import { Problem } from '../../domain/problem.ts';
import type { Config } from '../../runtime/config.ts';

type Origins = Pick<Config, 'TIU_CORS_ORIGINS' | 'TIU_PUBLIC_URL'>;

/**
 * Refuses what a page of another site lets a browser ask for: the browser says so in headers that no page can set.
 * @param request.isProven whether it must say that it does not come from elsewhere, as it carries a cookie
 * @throws Problem cross_site_request
 */
export function requireSameSite(origins: Origins, request: { headers: IncomingHttpHeaders; isProven: boolean }): void {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (site === 'same-origin') return;
  if (origin === undefined && site === undefined && !request.isProven) return; // no browser
  if (origin !== undefined && (isListed(origins, origin) || (site === undefined && hostOf(origin) === host))) return;
  throw new Problem('cross_site_request');
}

const isListed = ({ TIU_CORS_ORIGINS, TIU_PUBLIC_URL }: Origins, origin: string): boolean =>
  TIU_CORS_ORIGINS.split(',').some((listed) => listed.trim() === origin) ||
  (TIU_PUBLIC_URL !== undefined && URL.parse(TIU_PUBLIC_URL)?.origin === origin);

const hostOf = (origin: string): string | undefined => URL.parse(origin)?.host;
