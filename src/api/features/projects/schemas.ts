import { z } from 'zod';
import { expiresAt, roleName } from '../../auth/grantFields.ts';
import { projectName } from '../../runs/schemas.ts';
import { listOf, maybeTime, page, text, time } from '../../schemas.ts';

const title = text(200).nullable();

export const Project = z
  .object({
    id: z.string().meta({ format: 'uuid', description: 'Stays when it is renamed; runs show it, and its topic is `project:<id>`' }),
    name: z.string(),
    title: z.string().nullable(),
    archivedAt: maybeTime.meta({ description: 'Since when no runs are started in it' }),
    createdAt: time,
    createdBy: z.string(),
    links: z.object({ self: z.string(), members: z.string(), runs: z.string() }),
  })
  .meta({ id: 'Project', description: 'Runs that belong together, in which people may have a greater role than in the workspace' });
export const ProjectList = listOf(Project).meta({ id: 'ProjectList' });

export const CreateProject = z.strictObject({ name: projectName, title: title.optional() }).meta({ id: 'CreateProject' });
export const ChangeProject = z
  .strictObject({
    name: projectName.optional(),
    title: title.optional(),
    archived: z.boolean().optional().meta({ description: 'In an archived one no runs are started; everything in it stays' }),
  })
  .refine((body) => Object.keys(body).length > 0, 'names nothing to change')
  .meta({ id: 'ChangeProject' });

export const ProjectMember = z
  .object({
    account: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    role: z.string().meta({ description: 'In the project, besides what the person has in the workspace' }),
    grantedBy: z.string(),
    grantedAt: time,
    expiresAt: maybeTime,
  })
  .meta({ id: 'ProjectMember' });
export const ProjectMemberList = listOf(ProjectMember).meta({ id: 'ProjectMemberList' });
export const SetProjectMember = z
  .strictObject({ role: roleName, expiresAt: expiresAt.nullable().optional() })
  .meta({ id: 'SetProjectMember' });

export const projectParams = z.object({ project: z.string() });
export const projectMemberParams = z.object({ project: z.string(), account: z.string() });
export const projectsQuery = z.strictObject({ ...page, archived: z.enum(['true', 'false']).default('false') });
export const projectMembersQuery = z.strictObject(page);
