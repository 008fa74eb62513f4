import fs from 'node:fs';
import { z } from 'zod';

const address = z.url().refine((url) => !url.endsWith('/'), 'without a slash at the end');
const title = z.string().min(1).max(100);

const shared = {
  id: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'a lower-case name of at most 32 letters, digits and dashes'),
  clientId: z.string().min(1),
  clientSecret: z.string().min(1).optional(),
  clientSecretFile: z.string().optional(),
  /** Besides our own callback: where apps of one's own take the answer. Compared exactly. */
  redirectUris: z.array(z.url()).default([]),
  /** Accepts an issuer without TLS: for trials on one machine. */
  insecure: z.boolean().default(false),
  /** Whether who comes for the first time gets an account. */
  createAccounts: z.boolean().default(false),
  /** Domains of verified mail addresses that accounts are made for; all without it. */
  emailDomains: z.array(z.string().toLowerCase()).optional(),
  /** What a new account becomes a member of. */
  join: z.strictObject({ workspace: z.string(), role: z.enum(['viewer', 'developer', 'project_manager']) }).optional(),
};
const scopes = z.array(z.string()).default(['openid', 'email', 'profile']);

const oidc = z.strictObject({
  ...shared,
  type: z.literal('oidc'),
  title,
  issuer: address,
  scopes,
  idTokenAlg: z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']).default('RS256'),
});
const google = z.strictObject({ ...shared, type: z.literal('google'), title: title.default('Google'), scopes });
const github = z.strictObject({
  ...shared,
  type: z.literal('github'),
  title: title.default('GitHub'),
  /** Of GitHub Enterprise its own address, and that of its API. */
  issuer: address.default('https://github.com'),
  apiUrl: address.default('https://api.github.com'),
});

const provider = z.discriminatedUnion('type', [oidc, google, github]).transform(({ clientSecretFile, clientSecret, ...given }) => {
  const secret = clientSecret ?? (clientSecretFile === undefined ? undefined : fs.readFileSync(clientSecretFile, 'utf8').trim());
  const settings = { ...given, clientSecret: secret };
  switch (settings.type) {
    case 'oidc':
      return { ...settings, protocol: 'oidc' as const, apiUrl: '' };
    case 'google':
      return { ...settings, protocol: 'oidc' as const, apiUrl: '', issuer: 'https://accounts.google.com', idTokenAlg: 'RS256' as const };
    case 'github':
      return { ...settings, protocol: 'github' as const, scopes: ['read:user', 'user:email'], idTokenAlg: 'none' as const };
  }
});

export type SignInProviderConfig = z.output<typeof provider>;

/**
 * The issuers that people may sign in with, from the file that TIU_SIGN_IN_FILE names: a JSON list.
 * @throws Error that says which entry is wrong, without its secrets
 */
export function readSignInProviders(file: string | undefined): SignInProviderConfig[] {
  if (file === undefined) return [];
  const parsed = z
    .array(provider)
    .max(50)
    .safeParse(JSON.parse(fs.readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new Error(`sign-in providers: ${parsed.error.issues.map((issue) => `/${issue.path.join('/')}: ${issue.message}`).join('; ')}`);
  const ids = parsed.data.map(({ id }) => id);
  const repeated = ids.find((id, index) => ids.indexOf(id) !== index);
  if (repeated !== undefined) throw new Error(`sign-in providers: the id ${repeated} stands there twice`);
  for (const { id, issuer, insecure } of parsed.data)
    if (!insecure && !issuer.startsWith('https:')) throw new Error(`sign-in providers: ${id} has an issuer without TLS`);
  return parsed.data;
}
