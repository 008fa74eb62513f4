import type { AuthenticationResponseJSON, AuthenticatorTransport, RegistrationResponseJSON } from '@simplewebauthn/server';

export type RegistrationResponse = RegistrationResponseJSON;
export type AssertionResponse = AuthenticationResponseJSON;

/** The party that passkeys are for: its host (`id`), and the address of its pages. */
export type RelyingParty = { id: string; origin: string };

/** A passkey as it is kept. */
export type KnownPasskey = { id: string; publicKey: Uint8Array<ArrayBuffer>; counter: number; transports: string[] };

/** Decides whether a challenge is one of ours; it is used up by that. */
export type RedeemChallenge = (challenge: string) => Promise<boolean>;

const NAME = 'TIU';
/** ms that a browser waits for the person. */
const TIMEOUT_MS = 300_000;

// The library brings parsers of certificates: it is loaded with the first passkey.
const library = () => import('@simplewebauthn/server');
const transportsOf = (known: KnownPasskey) => known.transports as AuthenticatorTransport[];

/** What a browser is to be given to make a passkey. The challenge is in it. */
export async function registrationOptions(party: RelyingParty, of: { account: string; name: string; known: readonly KnownPasskey[] }) {
  const { generateRegistrationOptions } = await library();
  return generateRegistrationOptions({
    ...{ rpID: party.id, rpName: NAME, userName: of.name, userID: new TextEncoder().encode(of.account), timeout: TIMEOUT_MS },
    attestationType: 'none',
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    excludeCredentials: of.known.map((known) => ({ id: known.id, transports: transportsOf(known) })),
  });
}

/** The passkey that a browser has made; undefined when anything about it is wrong. */
export async function verifyRegistration(
  party: RelyingParty,
  response: RegistrationResponse,
  redeem: RedeemChallenge,
): Promise<(KnownPasskey & { synced: boolean }) | undefined> {
  const { verifyRegistrationResponse } = await library();
  try {
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      ...{ response, expectedChallenge: redeem, expectedOrigin: party.origin, expectedRPID: party.id },
      requireUserVerification: true,
    });
    if (!verified) return undefined;
    const { id, publicKey, counter, transports = [] } = registrationInfo.credential;
    return { id, publicKey, counter, transports, synced: registrationInfo.credentialBackedUp };
  } catch (error) {
    rethrow(error);
    return undefined;
  }
}

/** What a browser is to be given to show a passkey. @param known those of one account; none = whichever the person chooses */
export async function requestOptions(party: RelyingParty, known: readonly KnownPasskey[]) {
  const { generateAuthenticationOptions } = await library();
  return generateAuthenticationOptions({
    ...{ rpID: party.id, timeout: TIMEOUT_MS, userVerification: 'required' as const },
    allowCredentials: known.map((one) => ({ id: one.id, transports: transportsOf(one) })),
  });
}

/** The counter that a passkey showed with its signature; undefined when anything about it is wrong. */
export async function verifyAssertion(
  party: RelyingParty,
  shown: { response: AssertionResponse; known: KnownPasskey },
  redeem: RedeemChallenge,
): Promise<number | undefined> {
  const { verifyAuthenticationResponse } = await library();
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      ...{ response: shown.response, expectedChallenge: redeem, expectedOrigin: party.origin, expectedRPID: party.id },
      credential: { ...shown.known, transports: transportsOf(shown.known) },
      requireUserVerification: true,
    });
    return verified ? authenticationInfo.newCounter : undefined;
  } catch (error) {
    rethrow(error);
    return undefined;
  }
}

/** The library throws for whatever does not fit, without a code; what comes from the database is no fault of the passkey. */
function rethrow(error: unknown): void {
  if ((error as { code?: unknown }).code !== undefined) throw error;
}
