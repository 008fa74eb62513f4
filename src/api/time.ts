/** UTC ISO 8601 with milliseconds, from what the database writes (its columns keep milliseconds). */
export const iso = (at: string | Date): string => new Date(at).toISOString();
export const maybeIso = (at: string | Date | null): string | null => (at === null ? null : iso(at));
