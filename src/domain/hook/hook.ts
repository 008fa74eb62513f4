/** Of a hook: what its address ends with, and what triggers of definitions name. */
export const HOOK_NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** How deliveries are signed: Standard Webhooks 1.0, `X-Hub-Signature-256` as GitHub does, or `Stripe-Signature`. */
export const HOOK_SCHEMES = ['standard-webhooks', 'github', 'stripe'] as const;
export type HookScheme = (typeof HOOK_SCHEMES)[number];

/** The header that a scheme's signatures are in. */
export const SIGNATURE_HEADERS: { readonly [scheme in HookScheme]: string } = {
  'standard-webhooks': 'webhook-signature',
  github: 'x-hub-signature-256',
  stripe: 'stripe-signature',
};

export const HOOK_LIMITS = {
  /** How far the time of a delivery may be from ours. */
  minToleranceSeconds: 1,
  toleranceSeconds: 300,
  maxToleranceSeconds: 3_600,
  /** Signatures of one delivery that are looked at. */
  signatures: 10,
  /** Former values of the secret that count besides its present one. */
  pastSecrets: 3,
  /** Characters of the id of a delivery, and of the key of an event, once evaluated. */
  idLength: 255,
  keyLength: 256,
  /** Runs that one delivery starts. */
  triggers: 50,
  /** After so long a delivery that comes again starts none: the keys of its runs are forgotten after a week. */
  triggerMs: 6 * 86_400_000,
} as const;
