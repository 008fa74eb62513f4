import { z } from 'zod';
import { transport } from '../../auth/cookies.ts';
import { text, time } from '../../schemas.ts';

const uuid = z.string().meta({ format: 'uuid' });

export const providerParams = z.object({ provider: z.string().meta({ description: 'Its id, as in the list of providers' }) });
export const identityParams = z.object({ id: z.string() });

export const Providers = z
  .object({ items: z.array(z.object({ id: z.string(), title: z.string(), links: z.object({ begin: z.string() }) })) })
  .meta({ id: 'SignInProviders' });

const redirectUri = z
  .string()
  .max(2_000)
  .optional()
  .meta({ description: 'Where the provider sends its answer: one of those in the settings; our own callback without it' });

const returnTo = text(1_000)
  .optional()
  .meta({
    description: 'A path of this origin: the answer comes to our own callback, which sets cookies and sends the browser on there',
    examples: ['/console'],
  });

export const BeginSignIn = z
  .strictObject({ redirectUri, returnTo, remember: z.boolean().default(false), device: text(100).optional() })
  .prefault({})
  .meta({ id: 'BeginSignIn' });
export const BeginLink = z
  .strictObject({ provider: text(32).meta({ description: 'Its id, as in the list of providers' }), redirectUri, returnTo })
  .meta({ id: 'BeginLink' });

export const SignInBegun = z
  .object({
    authorizationUrl: z.string().meta({ description: 'Where to send the browser' }),
    state: z.string(),
    secret: z.string().nullable().meta({
      description:
        'To be kept by who has begun, and sent with the answer: nobody else can finish it. null with `returnTo`: a cookie has it',
    }),
    expiresAt: time,
  })
  .meta({ id: 'SignInBegun' });

export const FinishSignIn = z
  .strictObject({
    answer: z.string().min(1).max(8_000).meta({ description: 'The query of the redirect URI as it came: `code=…&state=…`' }),
    secret: text(100),
    transport,
  })
  .meta({ id: 'FinishSignIn' });

const Identity = z
  .object({
    id: uuid,
    provider: z.string(),
    issuer: z.string(),
    email: z.string().nullable(),
    createdAt: time,
    lastUsedAt: time,
  })
  .meta({ id: 'Identity', description: 'Who a person is at an issuer' });
export const IdentityList = z.object({ items: z.array(Identity) }).meta({ id: 'IdentityList' });
