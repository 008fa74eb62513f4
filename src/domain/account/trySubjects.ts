/** Under what tries are counted. Name and address of an account apart, so that nobody learns which belong together. */
export const loginSubject = (key: string): string => `login:${key}`;
/** Of somebody who has signed in already. */
export const selfSubject = (account: string): string => `self:${account}`;
/** From a device that has signed in before. @param hash base64url */
export const deviceSubject = (hash: string): string => `device:${hash}`;

type FactorMethod = 'totp' | 'recovery' | 'passkey';
const FACTORS: readonly FactorMethod[] = ['totp', 'recovery', 'passkey'];
export const factorSubject = (account: string, method: FactorMethod): string => `${method}:${account}`;
export const factorSubjects = (account: string): string[] => FACTORS.map((method) => factorSubject(account, method));
