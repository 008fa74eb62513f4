import { Secret, TOTP } from 'otpauth';

/** Seconds that one code is for. */
const PERIOD = 30;
/** Codes before and after the current one that are taken too, for clocks that differ. */
const WINDOW = 1;
const SECRET_BYTES = 20;

/** A new secret, in base 32. */
export const newTotpSecret = (): string => new Secret({ size: SECRET_BYTES }).base32;

const totpOf = (secret: string, label = ''): TOTP =>
  new TOTP({ issuer: 'TIU', label, algorithm: 'SHA1', digits: 6, period: PERIOD, secret: Secret.fromBase32(secret) });

/** What an authenticator app reads, mostly as a QR code. */
export const totpUri = (secret: string, label: string): string => totpOf(secret, label).toString();

/** The step (RFC 6238) whose code this is; null when it is that of none around now. @param now ms since the epoch */
export function totpStep(secret: string, code: string, now: number): number | null {
  const delta = totpOf(secret).validate({ token: code, timestamp: now, window: WINDOW });
  return delta === null ? null : Math.floor(now / 1000 / PERIOD) + delta;
}
