/** Names and mail addresses of people: normalised first, then judged; uniqueness goes by the key. */

const NAME = /^[A-Za-z0-9_]{3,50}$/;

/** `shown` as people see it, `key` what it is unique by. */
export type Normalised = { shown: string; key: string };

/** A person's name: 3 to 50 letters, digits, underscores. @returns undefined for anything else */
export function normaliseName(text: string): Normalised | undefined {
  const shown = text.normalize('NFKC').trim();
  return NAME.test(shown) ? { shown, key: shown.toLowerCase() } : undefined;
}

const LOCAL = /^[^\s\p{C}@<>()[\]\\,;:"]{1,64}$/u;
const DOMAIN = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9-]{2,63}$/;

/**
 * A mail address: normalised (NFKC, an international domain in its ASCII form, lower case) before it is judged, so that two
 * spellings of one mailbox are one address. @returns undefined for what is none
 */
export function normaliseEmail(text: string): Normalised | undefined {
  const flat = text.normalize('NFKC').trim();
  const at = flat.lastIndexOf('@');
  const local = flat.slice(0, Math.max(at, 0));
  const domain = asciiDomain(flat.slice(at + 1));
  if (!LOCAL.test(local) || domain === undefined) return undefined;
  // lower case may need normalising again
  return { shown: `${local}@${domain}`, key: `${local.toLowerCase().normalize('NFKC')}@${domain}` };
}

function asciiDomain(text: string): string | undefined {
  if (/[/?#:@\\\s%]/.test(text) || !URL.canParse(`http://${text}/`)) return undefined;
  const { hostname } = new URL(`http://${text}/`);
  return DOMAIN.test(hostname) ? hostname : undefined;
}
