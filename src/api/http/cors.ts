import type { Context } from 'koa';
import type { Config } from '../../runtime/config.ts';

type Rule = { origins: ReadonlySet<string>; credentials: boolean; methods: string; headers: string; exposes?: string };

const CODEC = '/api/v1/codec/';
/** What pages may send, and read of an answer, besides what every page may. */
const SENT = 'authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, prefer, x-request-id';
const READ =
  'allow, etag, idempotent-replayed, location, preference-applied, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id';
/** How long a browser need not ask again, seconds. */
const MAX_AGE = '7200';

/**
 * Exact origins, by commas. @throws Error that names an entry which is none; there is no wildcard
 */
export function readOrigins(setting: 'TIU_CORS_ORIGINS' | 'TIU_CODEC_ORIGINS', text: string): ReadonlySet<string> {
  const entries = text.split(',').flatMap((entry) => (entry.trim() === '' ? [] : [entry.trim()]));
  for (const entry of entries)
    if (!/^https?:\/\//.test(entry) || !URL.canParse(entry) || new URL(entry).origin !== entry)
      throw new Error(`${setting}: not an origin such as https://console.example.com: ${entry}`);
  return new Set(entries);
}

/**
 * Lets pages of listed origins ask the product, with what their user is signed in by, and pages of the Temporal UI the codec
 * server alone, without: a token is sent or is in the path, a cookie never. All others are told nothing.
 */
export function allowOrigins(
  config: Pick<Config, 'TIU_CORS_ORIGINS' | 'TIU_CODEC_ORIGINS'>,
): (ctx: Context, next: () => Promise<void>) => Promise<void> {
  const origins = readOrigins('TIU_CORS_ORIGINS', config.TIU_CORS_ORIGINS);
  const product: Rule = { origins, credentials: true, methods: 'GET, POST, PUT, PATCH, DELETE', headers: SENT, exposes: READ };
  const codec: Rule = {
    origins: readOrigins('TIU_CODEC_ORIGINS', config.TIU_CODEC_ORIGINS),
    ...{ credentials: false, methods: 'POST', headers: 'authorization, content-type, x-namespace' },
  };
  return async (ctx, next) => {
    const isCodec = ctx.path.startsWith(CODEC);
    if (!isCodec && (origins.size === 0 || !ctx.path.startsWith('/api/'))) return next();
    // who asks decides about the answer, also where it is no
    ctx.vary('Origin');
    const origin = ctx.get('origin');
    const rule = [...(isCodec ? [codec] : []), product].find((one) => one.origins.has(origin));
    if (!rule) return next();
    ctx.set({ 'access-control-allow-origin': origin, 'cross-origin-resource-policy': 'cross-origin' });
    if (rule.credentials) ctx.set('access-control-allow-credentials', 'true');
    if (ctx.method !== 'OPTIONS' || ctx.get('access-control-request-method') === '') {
      if (rule.exposes !== undefined) ctx.set('access-control-expose-headers', rule.exposes);
      return next();
    }
    ctx.vary('Access-Control-Request-Method, Access-Control-Request-Headers');
    ctx.set({
      'access-control-allow-methods': rule.methods,
      'access-control-allow-headers': rule.headers,
      'access-control-max-age': MAX_AGE,
    });
    ctx.status = 204;
  };
}
