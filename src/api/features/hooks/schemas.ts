import { z } from 'zod';
import { HOOK_LIMITS, HOOK_NAME, HOOK_SCHEMES } from '../../../domain/hook/hook.ts';
import { SECRET_NAME } from '../../../domain/secret/name.ts';
import { Failure, listOf, page, runIdText, text, time } from '../../schemas.ts';

const hookName = z
  .string()
  .regex(HOOK_NAME, 'a lower-case name: letters, digits and dashes, at most 63')
  .meta({ examples: ['payments'] });
const secretName = z.string().regex(SECRET_NAME).meta({ description: 'Of a secret of the workspace: what deliveries are signed with' });
const scheme = z
  .enum(HOOK_SCHEMES)
  .meta({ description: 'Standard Webhooks 1.0, `X-Hub-Signature-256` as GitHub sends it, or `Stripe-Signature`' });
const eventName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
  .meta({ description: 'Of the event that a delivery becomes, as tasks of the kind `event` name it' });
const eventKey = z.string().max(2_000).meta({ description: 'Of which thing; may hold expressions over the payload: `${payload.order}`' });

export const Hook = z
  .object({
    id: z.string().meta({ format: 'uuid', description: 'In its address; stays when the hook is changed' }),
    name: hookName,
    event: z.object({ name: eventName, key: eventKey }),
    secret: secretName,
    scheme,
    toleranceSeconds: z.int(),
    createdAt: time,
    createdBy: z.string(),
    updatedAt: time,
    updatedBy: z.string(),
    links: z.object({ self: z.string(), deliver: z.string().meta({ description: 'Where the outside posts to' }) }),
  })
  .meta({ id: 'Hook', description: 'Turns signed deliveries of the outside into events of the workspace' });
export const HookList = listOf(Hook).meta({ id: 'HookList' });

export const SetHook = z
  .strictObject({
    event: z.strictObject({ name: eventName, key: eventKey.default('') }),
    secret: secretName,
    scheme,
    toleranceSeconds: z
      .int()
      .min(HOOK_LIMITS.minToleranceSeconds)
      .max(HOOK_LIMITS.maxToleranceSeconds)
      .default(HOOK_LIMITS.toleranceSeconds)
      .meta({ description: 'How far the time of a delivery may be from ours, where the scheme has one' }),
  })
  .meta({ id: 'SetHook' });

const Triggered = z.object({ workflow: z.string(), runId: runIdText.nullable(), failure: Failure.nullable() });

export const Delivered = z
  .object({
    id: text(400),
    event: z.object({ name: eventName, key: z.string() }),
    at: time,
    runs: z.array(Triggered).meta({ description: 'Of the workflows with a trigger for the hook' }),
  })
  .meta({ id: 'Delivered', description: 'The event that a delivery has become; of one that comes again, the same' });

export const hookParams = z.object({ name: hookName });
/** Whatever they are, what is no address of a hook is answered as a wrong signature is. */
export const deliveryParams = z.object({ id: z.string(), name: z.string() });
export const hooksQuery = z.strictObject(page);
