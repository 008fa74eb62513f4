/** Rules of passwords after NIST SP 800-63B-4: length and what attackers try first; no composition, no rotation. */

/** Characters (code points, normalised). `shared`: beside a second factor. */
const PASSWORD_LENGTH = { alone: 15, shared: 8, max: 256 } as const;

/** What the code of a refusal says. */
export type PasswordFault = {
  code: 'too_short' | 'too_long' | 'too_common' | 'too_simple' | 'contains_context' | 'invalid_value';
  message: string;
};

export type PasswordSetting = {
  /** Passwords that attackers try first, lower case. */
  common: ReadonlySet<string>;
  /** Words that stand near the account: name, mail, product. */
  context: readonly string[];
  /** Whether a second factor stands beside the password. */
  secondFactor: boolean;
};

/** The one form in which a password is judged and hashed. */
export const normalisePassword = (password: string): string => password.normalize('NFKC');

/** Whether a password may only stand beside a second factor. */
export const isShortPassword = (password: string): boolean => lengthOf(normalisePassword(password)) < PASSWORD_LENGTH.alone;

const lengthOf = (text: string): number => Array.from(text).length;

/** What is wrong with a new password; undefined when nothing is. Of the password itself it says nothing. */
export function checkPassword(password: string, { common, context, secondFactor }: PasswordSetting): PasswordFault | undefined {
  if (!password.isWellFormed()) return { code: 'invalid_value', message: 'holds half of a surrogate pair' };
  const normal = normalisePassword(password);
  const least = secondFactor ? PASSWORD_LENGTH.shared : PASSWORD_LENGTH.alone;
  const length = lengthOf(normal);
  if (length < least) return { code: 'too_short', message: `has less than ${least} characters` };
  if (length > PASSWORD_LENGTH.max) return { code: 'too_long', message: `has more than ${PASSWORD_LENGTH.max} characters` };
  const lower = normal.toLowerCase();
  if (common.has(lower)) return { code: 'too_common', message: 'is among those that are tried first' };
  const unit = repeatedUnit(Array.from(lower));
  if (unit.length < PASSWORD_LENGTH.shared || common.has(unit.join('')))
    return { code: 'too_simple', message: 'repeats something short or common' };
  if (isRow(Array.from(lower))) return { code: 'too_simple', message: 'is a row of characters that follow each other' };
  if (lengthOf(without(lower, context)) < least / 2)
    return { code: 'contains_context', message: 'is little more than the name, the mail address or the product' };
  return undefined;
}

/** The shortest part of which the text is a repetition, cut off anywhere; the text itself when there is none. */
function repeatedUnit(text: readonly string[]): readonly string[] {
  for (let size = 1; size <= text.length / 2; size += 1) if (text.every((char, at) => char === text[at % size])) return text.slice(0, size);
  return text;
}

/** Whether each character is the one after (or before) the one before it, `9` and `0` being neighbours. */
function isRow(text: readonly string[]): boolean {
  const steps = text.slice(1).map((char, at) => (char.codePointAt(0) ?? 0) - (text[at]?.codePointAt(0) ?? 0));
  return [1, -1].some((step) => steps.every((taken) => taken === step || taken === -9 * step));
}

/** Shorter ones are found in too many passwords by chance. */
const LEAST_WORD = 3;

function without(lower: string, context: readonly string[]): string {
  const words = context
    .flatMap((word) => {
      const whole = normalisePassword(word).toLowerCase();
      return [whole, ...whole.split(/[^\p{L}\p{N}]+/u)];
    })
    .filter((word) => word.length >= LEAST_WORD)
    .sort((a, b) => b.length - a.length);
  return words.reduce((rest, word) => rest.replaceAll(word, ''), lower);
}
