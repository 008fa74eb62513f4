import { randomUUIDv7 } from 'node:crypto';
import { auditValues } from '../audit.ts';
import { auditOf } from '../auditOf.ts';
import type { Database } from '../database.ts';
import { asProblems } from '../refused.ts';

type Rows = Pick<Database, 'rows'>;

export type ProjectRow = {
  workspace: string;
  id: string;
  /** The same, as what decides about rights calls it. */
  project: string;
  name: string;
  title: string | null;
  archived: string | null;
  created: string;
  created_by: string;
  version: number;
};

const COLUMNS = 'p.workspace, p.id, p.id as project, p.name, p.title, p.archived, p.created, p.created_by, p.version';

/** Of the projects `p` that have changed. */
const audited = auditOf({ from: 'p', workspace: 'p.workspace', object: `'project:' || p.id` });

const AFTER = `json_build_object('name', p.name, 'title', p.title, 'archived', p.archived)`;

/** @returns exists = the name is taken; full = the workspace has `max` */
export async function createProject(
  db: Rows,
  project: { workspace: string; name: string; title: string | null; by: string; max: number },
): Promise<ProjectRow | 'exists' | 'full'> {
  const rows = await db.rows<ProjectRow>({
    name: 'project_create',
    text: `with p as (insert into project (workspace, id, name, title, created, created_by)
        select $1, $2, $3, $4, clock_timestamp(), $5 where (select count(*) from project where workspace = $1) < $6 on conflict do nothing returning *),
      a as (${audited('project.created', { by: 5, first: 7, after: AFTER })})
      select ${COLUMNS} from p`,
    values: [project.workspace, randomUUIDv7(), project.name, project.title, project.by, project.max, ...auditValues()],
  });
  return rows[0] ?? ((await findProject(db, project)) ? 'exists' : 'full');
}

export async function findProject(db: Rows, project: { workspace: string; name: string }): Promise<ProjectRow | undefined> {
  const rows = await db.rows<ProjectRow>({
    name: 'project_find',
    text: `select ${COLUMNS} from project p where p.workspace = $1 and p.name = $2`,
    values: [project.workspace, project.name],
  });
  return rows[0];
}

export async function findProjectById(db: Rows, project: { workspace: string; id: string }): Promise<ProjectRow | undefined> {
  const rows = await db.rows<ProjectRow>({
    name: 'project_by_id',
    text: `select ${COLUMNS} from project p where p.workspace = $1 and p.id = $2`,
    values: [project.workspace, project.id],
  });
  return rows[0];
}

/** By name. @param page.after last name of the page before @param page.archived whether archived ones, or the others */
export const listProjects = (
  db: Rows,
  page: { workspace: string; archived: boolean; after: string; limit: number },
): Promise<ProjectRow[]> =>
  db.rows<ProjectRow>({
    name: 'project_list',
    text: `select ${COLUMNS} from project p where p.workspace = $1 and p.name > $2 and (p.archived is not null) = $3 order by p.name limit $4`,
    values: [page.workspace, page.after, page.archived, page.limit],
  });

export type ProjectChange = { name: string; title: string | null; archived: boolean; by: string };

/** @returns exists = another one has the name; changed = it is no longer as it was `seen` */
export async function changeProject(db: Rows, seen: ProjectRow, change: ProjectChange): Promise<ProjectRow | 'exists' | 'changed'> {
  const other = await findProject(db, { workspace: seen.workspace, name: change.name });
  if (other && other.id !== seen.id) return 'exists';
  const rows = await db.rows<ProjectRow>({
    name: 'project_change',
    text: `with p as (update project set name = $3, title = $4, archived = case when $5 then coalesce(archived, clock_timestamp()) end, version = version + 1
        where workspace = $1 and id = $2 and version = $6 and not exists (select from project x where x.workspace = $1 and x.name = $3 and x.id <> $2) returning *),
      a as (${audited('project.changed', { by: 7, first: 9, before: '$8::json', after: AFTER })})
      select ${COLUMNS} from p`,
    values: [
      ...[seen.workspace, seen.id, change.name, change.title, change.archived, seen.version, change.by],
      ...[JSON.stringify({ name: seen.name, title: seen.title, archived: seen.archived }), ...auditValues()],
    ],
  });
  return rows[0] ?? 'changed';
}

/** Somebody in a project. */
export type ProjectMemberRow = {
  account: string;
  name: string;
  role: string;
  /** Of a role of the workspace's own; null = one that every workspace has. */
  actions: string[] | null;
  granted_by: string;
  granted: string;
  expires: string | null;
};

const MEMBER = 'm.account, a.name, m.role, r.actions, m.granted_by, m.granted, m.expires';
const JOINED = 'join account a on a.id = m.account left join role r on r.workspace = m.workspace and r.name = m.role';
const LASTS = '(m.expires is null or m.expires > clock_timestamp())';

/** All whose grant lasts; a project has no more of them than its workspace. @param page.after account of the last one of the page before */
export const listProjectMembers = (db: Rows, page: { project: string; after: string; limit: number }): Promise<ProjectMemberRow[]> =>
  db.rows<ProjectMemberRow>({
    name: 'project_members',
    text: `select ${MEMBER} from project_member m ${JOINED} where m.project = $1 and m.account > $2 and ${LASTS} order by m.account limit $3`,
    values: [page.project, page.after, page.limit],
  });

export async function findProjectMember(db: Rows, member: { project: string; account: string }): Promise<ProjectMemberRow | undefined> {
  const rows = await db.rows<ProjectMemberRow>({
    name: 'project_member_find',
    text: `select ${MEMBER} from project_member m ${JOINED} where m.project = $1 and m.account = $2 and ${LASTS}`,
    values: [member.project, member.account],
  });
  return rows[0];
}

/** The same of members `m` of a project. */
const granted = auditOf({ from: 'm', workspace: 'm.workspace', object: `'user:' || m.account` });

/** @returns false if there is no such member of the workspace @throws Problem unknown_role */
export async function setProjectMember(
  db: Rows,
  grant: { workspace: string; project: string; account: string; role: string; expires: Date | null; by: string },
): Promise<boolean> {
  const rows = await asProblems(
    db.rows({
      name: 'project_member_set',
      text: `with w as (select m.workspace, m.account from membership m where m.workspace = $1 and m.account = $3 and ${LASTS} for key share),
        m as (insert into project_member as k (workspace, project, account, role, granted_by, granted, expires)
          select w.workspace, $2, w.account, $4, $6, clock_timestamp(), $5 from w
          on conflict (workspace, project, account) do update set role = excluded.role, granted_by = excluded.granted_by, granted = excluded.granted,
            expires = excluded.expires, version = k.version + 1 returning *),
        a as (${granted('project.shared', { by: 6, first: 7, after: `json_build_object('project', m.project, 'role', m.role, 'expires', m.expires)` })})
        select 1 from m`,
      values: [...[grant.workspace, grant.project, grant.account, grant.role, grant.expires, grant.by], ...auditValues()],
    }),
  );
  return rows.length > 0;
}

/** @returns false if there was no such member */
export async function removeProjectMember(
  db: Rows,
  member: { workspace: string; project: string; account: string; by: string },
): Promise<boolean> {
  const rows = await db.rows({
    name: 'project_member_remove',
    text: `with m as (delete from project_member where workspace = $1 and project = $2 and account = $3 returning *),
      a as (${granted('project.unshared', { by: 4, first: 5, before: `json_build_object('project', m.project, 'role', m.role)` })})
      select 1 from m`,
    values: [member.workspace, member.project, member.account, member.by, ...auditValues()],
  });
  return rows.length > 0;
}
