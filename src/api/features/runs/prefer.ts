/** Longest time that an answer may wait for a run, s. */
const MAX_WAIT_S = 60;

/** `Prefer: wait=N` (RFC 7240): seconds to wait for the end, 0 to 60; undefined if nobody asked. What cannot be read is ignored, as the RFC has it. */
export function preferredWait(header: string | string[] | undefined): number | undefined {
  const preferences = [header ?? []].flat().join(',').split(',');
  for (const preference of preferences) {
    const match = /^\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:;.*)?$/i.exec(preference);
    if (match) return Math.min(Number(match[1]), MAX_WAIT_S);
  }
  return undefined;
}
