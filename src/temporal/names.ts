/** Identities of our own processes in Temporal begin with this. What they terminate is restarted; an operator's is closed. */
export const IDENTITY_PREFIX = 'tiu-';

/** Workflow type of a map's slice: no definition may have this name. */
export const MAP_SLICE = 'tiu.mapSlice';

/** Workflow type of what calls an activity of a user's: no definition may have this name. */
export const EXTERNAL = 'tiu.external';

/** Workflow type of a schedule's fire: no definition may have this name. */
export const FIRE = 'tiu.fire';

export const POKE = 'poke';

export type SliceId = { runId: string; task: number; generation: number; k: number };

export const runWorkflowId = (runId: string): string => `run/${runId}`;

export const sliceWorkflowId = (slice: SliceId): string => `slice/${slice.runId}/${slice.task}/${slice.generation}/${slice.k}`;

export type ExternalId = { runId: string; task: number; generation: number };

/** The same for every start: what a user's activity may tell its repetitions by. */
export const externalWorkflowId = ({ runId, task, generation }: ExternalId): string => `activity/${runId}/${task}/${generation}`;

export const scheduleId = (id: string): string => `schedule/${id}`;

/** Temporal appends the time of the fire. */
export const fireWorkflowId = (id: string): string => `fire/${id}`;
