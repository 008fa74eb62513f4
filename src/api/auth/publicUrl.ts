import type { Config } from '../../runtime/config.ts';

type Settings = Pick<Config, 'TIU_PUBLIC_URL' | 'TIU_HOST' | 'TIU_PORT'>;

/** The address of the product for links and passkeys: of the settings, never of a request. Loopback is called localhost, as passkeys need a name. */
export function publicUrl(config: Settings): URL {
  if (config.TIU_PUBLIC_URL !== undefined) return new URL(config.TIU_PUBLIC_URL);
  const host = /^(127\.|0\.0\.0\.0$|::1?$|localhost$)/.test(config.TIU_HOST) ? 'localhost' : config.TIU_HOST;
  return new URL(`http://${host}:${config.TIU_PORT}`);
}

/** A link with a token behind `#`, which browsers send to nobody. */
export function linkTo(config: Settings, page: string, token: string): string {
  const url = publicUrl(config);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${page}`;
  url.hash = `token=${token}`;
  return url.href;
}
