/** Longest time that an answer may wait for a run, s. */
const MAX_WAIT_S = 60;

/** `Prefer: wait=N` (RFC 7240): how long to wait for the end, 0 to 60 s, in ms; 0 if nobody asked. What cannot be read is ignored, as the RFC has it. */
export function preferredWaitMs(header: string | string[] | undefined): number {
  if (header === undefined) return 0;
  const preferences = [header].flat().join(',').split(',');
  for (const preference of preferences) {
    const match = /^\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:;.*)?$/i.exec(preference);
    if (match) return Math.min(Number(match[1]), MAX_WAIT_S) * 1_000;
  }
  return 0;
}
