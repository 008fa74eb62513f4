import type { Context } from 'koa';

const PATH = '/api/v1/codec/';

/**
 * Lets pages of these origins ask the codec server, and nothing else of the product. Without credentials: a token is sent or
 * is in the path, a cookie never.
 * @param origins by commas
 */
export function allowOrigins(origins: string): (ctx: Context, next: () => Promise<void>) => Promise<void> {
  const allowed = new Set(
    origins
      .split(',')
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ''),
  );
  return async (ctx, next) => {
    if (!ctx.path.startsWith(PATH)) return next();
    ctx.vary('Origin');
    const origin = ctx.get('origin');
    if (!allowed.has(origin)) return next();
    ctx.set({ 'access-control-allow-origin': origin, 'cross-origin-resource-policy': 'cross-origin' });
    if (ctx.method !== 'OPTIONS' || ctx.get('access-control-request-method') === '') return next();
    ctx.set({
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization, content-type, x-namespace',
      'access-control-max-age': '600',
    });
    ctx.status = 204;
  };
}
