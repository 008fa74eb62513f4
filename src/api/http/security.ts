import type { Config } from '../../runtime/config.ts';

const YEAR_SECONDS = 31_536_000;

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
};

/**
 * Of every answer (ASVS 5.0.0, 3.4). The page of the API alone relaxes the policy, to its own scripts and styles. Where clients
 * come by TLS, which TIU_PUBLIC_URL says, browsers are told never to come in another way.
 */
export function securityHeaders({ TIU_PUBLIC_URL: url }: Pick<Config, 'TIU_PUBLIC_URL'>): Readonly<Record<string, string>> {
  const isTls = url !== undefined && URL.canParse(url) && new URL(url).protocol === 'https:';
  return { ...HEADERS, ...(isTls && { 'strict-transport-security': `max-age=${YEAR_SECONDS}; includeSubDomains` }) };
}
