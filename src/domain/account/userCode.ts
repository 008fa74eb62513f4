/** The code that a person types to sign in a device: twenty letters, no vowels (no words), none that looks like another or like a digit (RFC 8628, 6.1). */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const LENGTH = 8;
const HALF = LENGTH / 2;
const CODE = new RegExp(`^[${LETTERS}]{${LENGTH}}$`);

/** 34.5 bits. @param pick a number from 0 to below its argument, by chance */
export const newUserCode = (pick: (below: number) => number): string =>
  shownUserCode(Array.from({ length: LENGTH }, () => LETTERS.charAt(pick(LETTERS.length))).join(''));

const shownUserCode = (letters: string): string => `${letters.slice(0, HALF)}-${letters.slice(HALF)}`;

/** As it is shown, however somebody has typed it: case, blanks and dashes are nothing. @returns undefined for what is none */
export function normaliseUserCode(text: string): string | undefined {
  const letters = text.replaceAll(/[\s-]/g, '').toUpperCase();
  return CODE.test(letters) ? shownUserCode(letters) : undefined;
}
