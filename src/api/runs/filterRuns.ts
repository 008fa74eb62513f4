import { z } from 'zod';
import type { Actor } from '../../domain/access/can.ts';
import type { RunFilter } from '../../db/repositories/runs.ts';
import { repeated, workflowName } from '../schemas.ts';
import { projectName, runStatus } from './schemas.ts';

/** What runs are chosen by. */
export const filterFields = {
  status: repeated(runStatus),
  workflow: workflowName.optional(),
  label: repeated(
    z
      .string()
      .regex(/^[\w.-]{1,63}:.{1,200}$/s, 'name:value')
      .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must not hold U+0000 or half of a surrogate pair'),
  ),
  since: z.iso.datetime({ offset: true }).optional(),
  project: projectName.optional().meta({ description: 'Name of a project; of one that is not there none' }),
};

type FilterInput = z.output<z.ZodObject<typeof filterFields>>;

/** The runs that a request chooses, of the caller's workspace. */
export const filterOf = ({ workspace }: Actor, { status, workflow, label, since, project }: FilterInput): RunFilter => ({
  workspace,
  status,
  workflow,
  labels: label.map((text) => ({ name: text.slice(0, text.indexOf(':')), value: text.slice(text.indexOf(':') + 1) })),
  since: since === undefined ? undefined : new Date(since),
  project,
});
