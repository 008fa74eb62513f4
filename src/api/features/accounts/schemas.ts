import { z } from 'zod';
import { transport } from '../../auth/cookies.ts';
import { maybeTime, text, time } from '../../schemas.ts';

const uuid = z.string().meta({ format: 'uuid' });
const identifier = text(320).meta({ description: 'Name or mail address' });
/** Of a password that is compared: whatever its length, within reason. */
const password = z.string().min(1).max(1_024).meta({ format: 'password' });
const newPassword = password.meta({
  format: 'password',
  description: 'At least 15 characters, 8 beside a second factor, at most 256; none that attackers try first',
});
const email = text(320).meta({ description: 'A mail address' });
const token = z.string().min(1).max(200);
const how = {
  device: z.string().max(200).optional().meta({ description: '`deviceToken` of an earlier sign-in from this device' }),
  deviceName: text(100).optional().meta({ description: 'What the session is called in the list of sessions' }),
  remember: z.boolean().default(false),
  transport,
};

export const Login = z.strictObject({ identifier, password, ...how }).meta({ id: 'Login' });

export const SignedIn = z
  .object({
    status: z.literal('signed_in'),
    sessionId: uuid,
    accessToken: z.string().nullable(),
    tokenType: z.literal('Bearer'),
    expiresIn: z.int().meta({ description: 'Seconds' }),
    refreshToken: z.string().nullable(),
    workspace: uuid.nullable().meta({ description: 'Where the session acts; null for a member of no workspace' }),
    role: z.string().nullable(),
    deviceToken: z
      .string()
      .meta({ description: 'Send it as `device` with the next sign-in from here: failures of others then do not hold it up' }),
  })
  .meta({ id: 'SignedIn' });

const options = z.looseObject({ challenge: z.string() }).meta({ description: 'For navigator.credentials, as JSON (WebAuthn)' });

const MfaRequired = z
  .object({
    status: z.literal('mfa_required'),
    mfaToken: z.string().meta({ description: 'For POST /auth/login/mfa' }),
    expiresIn: z.int().meta({ description: 'Seconds' }),
    methods: z.array(z.enum(['totp', 'passkey', 'recovery'])),
    passkeyOptions: options.nullable(),
  })
  .meta({ id: 'MfaRequired' });
export const LoginAnswer = z.discriminatedUnion('status', [SignedIn, MfaRequired]).meta({ id: 'LoginAnswer' });

const base64url = z
  .string()
  .max(20_000)
  .regex(/^[\w-]*$/);
const credential = {
  id: base64url.min(1),
  rawId: base64url.min(1),
  type: z.literal('public-key'),
  clientExtensionResults: z.looseObject({}),
};
const attachment = z.enum(['platform', 'cross-platform']).optional();
const Assertion = z
  .object({
    ...credential,
    authenticatorAttachment: attachment,
    response: z.object({
      clientDataJSON: base64url,
      authenticatorData: base64url,
      signature: base64url,
      userHandle: base64url.optional(),
    }),
  })
  .meta({ id: 'PasskeyAssertion', description: 'AuthenticationResponseJSON of WebAuthn' });
const Attestation = z
  .object({
    ...credential,
    authenticatorAttachment: attachment,
    response: z.object({
      clientDataJSON: base64url,
      attestationObject: base64url,
      transports: z
        .array(z.enum(['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb']))
        .max(10)
        .optional(),
    }),
  })
  .meta({ id: 'PasskeyAttestation', description: 'RegistrationResponseJSON of WebAuthn' });

const code = z.string().regex(/^\d{6}$/, 'six digits');
const shown = {
  code: code.optional().meta({ description: 'Of the authenticator app' }),
  recoveryCode: text(100).optional(),
  passkey: Assertion.optional(),
};
const isOne = (...values: unknown[]): boolean => values.filter((value) => value !== undefined).length === 1;

export const Mfa = z
  .strictObject({ mfaToken: token, ...shown })
  .refine((body) => isOne(body.code, body.recoveryCode, body.passkey), 'exactly one of code, recoveryCode, passkey')
  .meta({ id: 'LoginSecondStep' });
export const Reauthenticate = z
  .strictObject({ password: password.optional(), ...shown })
  .refine(
    (body) => isOne(body.password, body.code, body.recoveryCode, body.passkey),
    'exactly one of password, code, recoveryCode, passkey',
  )
  .meta({ id: 'Reauthenticate' });
export const PasskeySignIn = z.strictObject({ passkey: Assertion, ...how }).meta({ id: 'PasskeySignIn' });
export const PasskeyOptions = options.meta({ id: 'PasskeyOptions' });
export const NewPasskey = z.strictObject({ name: text(100), response: Attestation }).meta({ id: 'NewPasskey' });

export const Register = z
  .strictObject({
    name: text(200).meta({ description: '3 to 50 letters, digits or underscores' }),
    email,
    password: newPassword,
    fullName: text(100).optional(),
  })
  .meta({ id: 'Register' });
export const Accepted = z
  .object({ status: z.literal('mail_sent_if_possible') })
  .meta({ id: 'MailAsked', description: 'The same whoever asks for whom' });
export const VerifyEmail = z
  .strictObject({ token, password, name: text(200).optional().meta({ description: 'Another name, when the one asked for is taken' }) })
  .meta({ id: 'VerifyEmail' });
export const Registered = z.object({ id: uuid, name: z.string(), email: z.string() }).meta({ id: 'Registered' });
export const ForgotPassword = z.strictObject({ email }).meta({ id: 'ForgotPassword' });
export const ResetPassword = z.strictObject({ token, password: newPassword }).meta({ id: 'ResetPassword' });
export const ChangePassword = z
  .strictObject({
    currentPassword: password.optional().meta({ description: 'Of whoever has one' }),
    newPassword,
    revokeOtherSessions: z.boolean().default(true),
  })
  .meta({ id: 'ChangePassword' });
export const ChangeEmail = z.strictObject({ email }).meta({ id: 'ChangeEmail' });
export const ConfirmEmail = z.strictObject({ token }).meta({ id: 'ConfirmEmail' });

export const Code = z.strictObject({ code }).meta({ id: 'TotpCode' });
export const NewTotp = z
  .object({ secret: z.string().meta({ description: 'Base 32' }), uri: z.string().meta({ description: 'otpauth:, for a QR code' }) })
  .meta({ id: 'NewTotp', description: 'Shown here and never again' });
export const RecoveryCodes = z
  .object({ recoveryCodes: z.array(z.string()) })
  .meta({ id: 'RecoveryCodes', description: 'Each opens once; shown here and never again' });
export const Factors = z
  .object({
    totp: z.object({ confirmedAt: time }).nullable(),
    recoveryCodes: z.int().meta({ description: 'Those that are left' }),
    passkeys: z.array(z.object({ id: z.string(), name: z.string(), synced: z.boolean(), createdAt: time, lastUsedAt: maybeTime })),
  })
  .meta({ id: 'SecondFactors' });
export const PasskeyAdded = z.object({ id: z.string() }).meta({ id: 'PasskeyAdded' });
export const passkeyParams = z.object({ id: base64url.min(1) });
