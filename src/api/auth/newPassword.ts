import { checkPassword, isShortPassword } from '../../domain/account/password.ts';
import { invalidField } from '../../domain/invalidRequest.ts';
import type { HashedPassword } from '../../db/repositories/accounts.ts';
import type { Deps } from '../deps.ts';
import { publicUrl } from './publicUrl.ts';

const PRODUCT = 'tiu';

/**
 * Judges a password that somebody wants to have, and hashes it.
 * @param wanted.near name, mail address and what else stands near the account  @param wanted.pointer where it stands in the request
 * @throws Problem invalid_request that says what is wrong with it, never what it is | overloaded
 */
export async function newPassword(
  deps: Pick<Deps, 'config' | 'passwords' | 'commonPasswords'>,
  wanted: { password: string; near: readonly (string | null | undefined)[]; secondFactor: boolean; pointer?: string },
): Promise<HashedPassword> {
  const { password, secondFactor, pointer = '/password' } = wanted;
  const context = [PRODUCT, publicUrl(deps.config).hostname, ...wanted.near.filter((word) => word !== null && word !== undefined)];
  const fault = checkPassword(password, { common: deps.commonPasswords, context, secondFactor });
  if (fault) throw invalidField(pointer, fault.message, fault.code);
  return { hash: await deps.passwords.hash(password), short: isShortPassword(password) };
}
