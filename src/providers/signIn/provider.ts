import type { HttpClient } from '../http/httpClient.ts';

/** Whom a provider says that it has met. */
export type ProvenIdentity = {
  issuer: string;
  /** Names the person at the issuer for ever; nothing else does. */
  subject: string;
  email?: string;
  emailVerified: boolean;
  fullName?: string;
  /** What the person is called there. */
  userName?: string;
  /** Whether the provider says that more than one factor was shown. */
  mfa: boolean;
  /** Names the person's session there. */
  sid?: string;
};

/** Which sessions an issuer has ended: one of its own, or all of a person. */
export type LoggedOut = { issuer: string; sid?: string; subject?: string };

/** What has to come back unchanged: bound to one browser and to one provider. */
export type Expected = { state: string; nonce: string; codeVerifier: string; redirectUri: string };

export type SignInProvider = {
  /** Where to send the browser. @throws Problem sign_in_unavailable */
  authorizationUrl: (expected: Expected) => Promise<string>;
  /**
   * What the answer proves. @param answer parameters that came to the redirect URI
   * @throws Problem sign_in_refused | sign_in_unavailable
   */
  finish: (answer: URLSearchParams, expected: Expected) => Promise<ProvenIdentity>;
  /** What a logout token says. @throws Problem sign_in_refused | sign_in_unavailable */
  loggedOut: (token: string) => Promise<LoggedOut>;
};

/** One provider as the settings have it. */
export type SignInSettings = {
  id: string;
  title: string;
  /** `oidc`: OpenID Connect with discovery; `github`: OAuth 2 and the user API. */
  protocol: 'oidc' | 'github';
  /** Exactly as the issuer writes it; of GitHub its address. */
  issuer: string;
  clientId: string;
  clientSecret: string | undefined;
  scopes: readonly string[];
  /** How its ID tokens are signed; no other algorithm counts. */
  idTokenAlg: string;
  /** Of GitHub: address of its API. */
  apiUrl: string;
  /** Accepts an issuer without TLS: for trials on one machine. */
  insecure: boolean;
};

export type ProviderDeps = { http: HttpClient; clock: () => number };
