import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';

/** Where the secret of an account's authenticator app is sealed for. */
export const totpPlace = (account: string) => ({ workspace: SYSTEM_WORKSPACE, name: `totp/${account}` });
