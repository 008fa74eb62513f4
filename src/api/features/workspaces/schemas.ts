import { z } from 'zod';
import { maybeTime, text, time } from '../../schemas.ts';

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'a lower-case name: letters, digits and dashes, at most 63')
  .meta({ examples: ['acme'] });

const requireSecondFactor = z.boolean().meta({ description: 'Whether people may do something here only with a second factor' });

export const Workspace = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    createdAt: time,
    createdBy: z.string().nullable(),
    requireSecondFactor,
    offer: z
      .object({ to: z.string().meta({ format: 'uuid' }), until: time })
      .nullable()
      .meta({ description: 'To whom its ownership is offered, and until when' }),
    closing: z
      .object({ since: time, deletedFrom: maybeTime })
      .nullable()
      .meta({ description: 'Since when it is closing, and when what is in it is deleted' }),
    role: z.string().optional().meta({ description: 'The role that one has there' }),
  })
  .meta({ id: 'Workspace' });
export const WorkspaceList = z.object({ items: z.array(Workspace) }).meta({ id: 'WorkspaceList' });
export const NewWorkspace = z.strictObject({ name }).meta({ id: 'CreateWorkspace' });
export const ChangeWorkspace = z
  .strictObject({ name: name.optional(), requireSecondFactor: requireSecondFactor.optional() })
  .refine((change) => Object.keys(change).length > 0, 'says nothing')
  .meta({ id: 'ChangeWorkspace' });
export const OfferWorkspace = z.strictObject({ to: z.uuid().meta({ description: 'Account of a member' }) }).meta({ id: 'OfferWorkspace' });

export const CloseWorkspace = z
  .strictObject({ name: text(100).meta({ description: 'The name of the workspace, again: so that nobody does this by mistake' }) })
  .meta({ id: 'CloseWorkspace' });
export const ClosingWorkspace = z.object({ closingSince: time, deletedFrom: time }).meta({ id: 'ClosingWorkspace' });
