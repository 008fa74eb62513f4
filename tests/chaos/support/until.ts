const EVERY_MS = 30;

/** Asks again and again until there is an answer. A question that fails counts as one without an answer. @throws Error with what was last seen */
export async function until<T>(
  what: string,
  ask: () => Promise<T | false | undefined | null> | T | false | undefined | null,
  ms = 60_000,
): Promise<T> {
  let last: unknown;
  for (const end = Date.now() + ms; Date.now() < end;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== undefined && answer !== null) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    await new Promise((again) => setTimeout(again, EVERY_MS));
  }
  throw new Error(`not within ${ms} ms: ${what}${last instanceof Error ? ` (${last.message})` : ''}`);
}
