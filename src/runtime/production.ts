/** A setting that production must not have, and why. */
export type ProductionFault = { setting: string; reason: 'missing' | 'default' | 'weak' | 'sample' | 'unencrypted' };

type Env = Readonly<Record<string, string | undefined>>;

/** Whether the operator says that this is production. */
export const isProduction = (env: Env): boolean => (env.TIU_ENV ?? env.NODE_ENV) === 'production';

/** Settings of keys: `id:base64` of 32 bytes each, by commas or lines. */
const KEYS = ['TIU_SECRET_KEYS', 'TIU_TOKEN_KEYS', 'TIU_PAYLOAD_KEYS', 'TIU_AUDIT_KEYS', 'TIU_WEBHOOK_KEYS'] as const;
/** What stands in documents, tutorials and images. */
const DEFAULT_PASSWORDS = new Set(['', 'postgres', 'tiu', 'temporal', 'password', 'root', 'admin', 'secret', 'test', 'changeme', '123456']);
const SAMPLE = /change[-_ ]?me|example|sample|placeholder|your[-_ ]|insecure|dummy|^(?:xxx+|todo)$/i;
const MIN_PASSWORD = 12;
/** Different bytes that a key of 32 random ones has at the very least: less happens to one of 10^19. */
const MIN_BYTES = 12;

/**
 * What stands against serving production with these settings: secrets that are defaults, samples or weak.
 * @param keys content of files with keys, by the setting that names the file
 */
export function productionFaults(env: Env, keys: Env = {}): ProductionFault[] {
  if (!isProduction(env)) return [];
  const ofKeys = KEYS.flatMap((setting) => {
    const text = env[setting] ?? keys[`${setting}_FILE`];
    const reason = text === undefined || text.trim() === '' ? undefined : faultOfKeys(text);
    return reason === undefined ? [] : [{ setting, reason }];
  });
  const passwords = [
    { setting: 'DATABASE_URL', fault: faultOfUrl(env.DATABASE_URL) },
    { setting: 'TIU_SMTP_URL', fault: env.TIU_SMTP_URL?.includes('@') === true ? faultOfUrl(env.TIU_SMTP_URL) : undefined },
    { setting: 'TIU_CODEC_TOKEN', fault: env.TIU_CODEC_TOKEN === undefined ? undefined : faultOfText(env.TIU_CODEC_TOKEN) },
    { setting: 'TIU_PUBLIC_URL', fault: isOpenHttp(env.TIU_PUBLIC_URL) ? ('unencrypted' as const) : undefined },
  ].flatMap(({ setting, fault }) => (fault === undefined ? [] : [{ setting, reason: fault }]));
  return [...ofKeys, ...passwords];
}

/** @throws Error that names every setting that production must not have, and never its value */
export function refuseWeakProduction(env: Env, keys: Env = {}): void {
  const faults = productionFaults(env, keys);
  if (faults.length === 0) return;
  throw new Error(`configuration is not fit for production: ${faults.map(({ setting, reason }) => `${setting}: ${reason}`).join('; ')}`);
}

function faultOfKeys(text: string): ProductionFault['reason'] | undefined {
  const entries = text.split(/[,\n]/).flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  return entries.map((entry) => faultOfKey(entry.slice(entry.indexOf(':') + 1))).find((fault) => fault !== undefined);
}

function faultOfKey(key: string): ProductionFault['reason'] | undefined {
  if (SAMPLE.test(key)) return 'sample';
  const bytes = Buffer.from(key.replace(/^whsec_/, ''), 'base64');
  if (SAMPLE.test(bytes.toString('latin1'))) return 'sample';
  const steps = new Set(bytes.map((byte, at) => byte - (bytes[at - 1] ?? 0)).subarray(1));
  return new Set(bytes).size < Math.min(MIN_BYTES, bytes.length / 2) || steps.size <= 2 ? 'weak' : undefined;
}

function faultOfUrl(url: string | undefined): ProductionFault['reason'] | undefined {
  if (url === undefined || url === '') return 'missing';
  if (!URL.canParse(url)) return undefined; // another check says so
  return faultOfText(decodeURIComponent(new URL(url).password));
}

function faultOfText(password: string): ProductionFault['reason'] | undefined {
  if (DEFAULT_PASSWORDS.has(password.toLowerCase())) return 'default';
  if (SAMPLE.test(password)) return 'sample';
  return password.length < MIN_PASSWORD || new Set(password).size < MIN_PASSWORD / 2 ? 'weak' : undefined;
}

const isOpenHttp = (url: string | undefined): boolean =>
  url?.startsWith('http:') === true && !/^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/.test(url);
