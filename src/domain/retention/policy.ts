/** The workspace of what the product does for itself. */
export const SYSTEM_WORKSPACE = '00000000-0000-0000-0000-000000000000';

/** How long to rest after work of `workedMs`, so that work has `share` (above 0, up to 1) of the time. In ms, at most 10 s. */
export const restMs = (workedMs: number, share: number): number => Math.min(10_000, Math.round((workedMs * (1 - share)) / share));
