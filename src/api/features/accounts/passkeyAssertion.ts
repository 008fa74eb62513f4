import { issueOneTime, redeemOneTime, tokenHash } from '../../../db/oneTime.ts';
import { findPasskey, listFactors, usePasskey, type PasskeyRow } from '../../../db/repositories/secondFactors.ts';
import {
  requestOptions,
  verifyAssertion,
  type AssertionResponse,
  type KnownPasskey,
  type RelyingParty,
} from '../../../providers/passkey/passkeys.ts';
import { publicUrl } from '../../auth/publicUrl.ts';
import type { Deps } from '../../deps.ts';

type PasskeyDeps = Pick<Deps, 'config' | 'db' | 'clock'>;

export function relyingParty({ config }: Pick<Deps, 'config'>): RelyingParty {
  const { hostname, origin } = publicUrl(config);
  return { id: hostname, origin };
}

export const known = ({ id, publicKey, counter, transports }: PasskeyRow): KnownPasskey => ({
  ...{ id, counter, transports },
  publicKey: new Uint8Array(publicKey),
});

/** A challenge for the passkeys of one account, or for whichever somebody has (null). It is good for one answer. */
export async function assertionOptions(deps: PasskeyDeps, account: string | null) {
  const passkeys = account === null ? [] : (await listFactors(deps.db, account)).passkeys;
  const options = await requestOptions(relyingParty(deps), passkeys.map(known));
  await issueOneTime(deps.db, {
    ...{ kind: 'passkey_assert', account, now: deps.clock(), ttlMs: deps.config.TIU_MFA_TTL, token: options.challenge },
  });
  return options;
}

/**
 * Whose passkey answered a challenge rightly.
 * @param of the account that has to be it; null = whoever answers, to a challenge that was for nobody in particular
 */
export async function assertPasskey(deps: PasskeyDeps, response: AssertionResponse, of: string | null): Promise<string | undefined> {
  const now = deps.clock();
  const passkey = await findPasskey(deps.db, response.id);
  if (!passkey || (of !== null && passkey.account !== of)) return undefined;
  if (of === null && !isOf(response.response.userHandle, passkey.account)) return undefined;
  const counter = await verifyAssertion(relyingParty(deps), { response, known: known(passkey) }, async (challenge) => {
    const redeemed = await redeemOneTime(deps.db, { token: challenge, kind: 'passkey_assert', now });
    return redeemed?.account === of;
  });
  const used = counter !== undefined && (await usePasskey(deps.db, { id: passkey.id, counter, now }));
  return used ? passkey.account : undefined;
}

const isOf = (userHandle: string | undefined, account: string): boolean =>
  userHandle !== undefined && tokenHash(Buffer.from(userHandle, 'base64url').toString()).equals(tokenHash(account));
