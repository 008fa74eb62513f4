import { accountRoutes } from './features/accounts/accountRoutes.ts';
import { factorRoutes } from './features/accounts/factorRoutes.ts';
import { signInRoutes } from './features/accounts/signInRoutes.ts';
import { apiKeyRoutes } from './features/apiKeys/routes.ts';
import { approvalRoutes } from './features/approvals/routes.ts';
import { artifactRoutes } from './features/artifacts/routes.ts';
import { auditRoutes } from './features/audit/routes.ts';
import { bulkRoutes } from './features/bulk/routes.ts';
import { payloadRoutes } from './features/codec/routes.ts';
import { deviceRoutes } from './features/devices/routes.ts';
import { docsRoutes } from './features/docs/routes.ts';
import { eventRoutes } from './features/events/routes.ts';
import { forkRoutes } from './features/forks/routes.ts';
import { healthRoutes } from './features/health/routes.ts';
import { hookRoutes } from './features/hooks/routes.ts';
import { invitationRoutes } from './features/invitations/routes.ts';
import { memberRoutes } from './features/members/routes.ts';
import { pageRoutes } from './features/pages/routes.ts';
import { projectMemberRoutes } from './features/projects/memberRoutes.ts';
import { projectRoutes } from './features/projects/routes.ts';
import { peopleRoutes } from './features/people/routes.ts';
import { profileRoutes } from './features/profile/routes.ts';
import { queueRoutes } from './features/queue/routes.ts';
import { reportRoutes } from './features/reports/routes.ts';
import { roleRoutes } from './features/roles/routes.ts';
import { commandRoutes } from './features/runs/commandRoutes.ts';
import { progressRoutes } from './features/runs/progressRoutes.ts';
import { runRoutes } from './features/runs/routes.ts';
import { scheduleFireRoutes } from './features/schedules/fireRoutes.ts';
import { scheduleRoutes } from './features/schedules/routes.ts';
import { secretRoutes } from './features/secrets/routes.ts';
import { sessionRoutes } from './features/sessions/routes.ts';
import { tokenRoutes } from './features/sessions/tokenRoutes.ts';
import { whoamiRoutes } from './features/sessions/whoami.ts';
import { browserRoutes } from './features/identities/browserRoutes.ts';
import { identityRoutes } from './features/identities/routes.ts';
import { taskRoutes } from './features/tasks/routes.ts';
import { usageRoutes } from './features/usage/routes.ts';
import { userRoutes } from './features/users/routes.ts';
import { workflowRoutes } from './features/workflows/routes.ts';
import { closeRoutes } from './features/workspaces/closeRoutes.ts';
import { workspaceRoutes } from './features/workspaces/routes.ts';
import type { Route } from './route.ts';

/** The product over HTTP: everything there is, in one list. */
export const routes: readonly Route[] = [
  ...workflowRoutes,
  ...runRoutes,
  ...commandRoutes,
  ...approvalRoutes,
  ...eventRoutes,
  ...hookRoutes,
  ...forkRoutes,
  ...bulkRoutes,
  ...progressRoutes,
  ...taskRoutes,
  ...scheduleRoutes,
  ...scheduleFireRoutes,
  ...queueRoutes,
  ...reportRoutes,
  ...artifactRoutes,
  ...sessionRoutes,
  ...tokenRoutes,
  ...whoamiRoutes,
  ...signInRoutes,
  ...deviceRoutes,
  ...accountRoutes,
  ...factorRoutes,
  ...apiKeyRoutes,
  ...secretRoutes,
  ...auditRoutes,
  ...usageRoutes,
  ...memberRoutes,
  ...roleRoutes,
  ...invitationRoutes,
  ...projectRoutes,
  ...projectMemberRoutes,
  ...workspaceRoutes,
  ...closeRoutes,
  ...identityRoutes,
  ...profileRoutes, // before those of others: `me` is no id
  ...peopleRoutes,
  ...browserRoutes,
  ...userRoutes,
  ...payloadRoutes,
  ...healthRoutes,
  ...docsRoutes,
  ...pageRoutes,
];
