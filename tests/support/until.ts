const EVERY_MS = 25;
/** Less than a test may take, so that its failure says what did not come. No claim about speed: a busy machine is waited for. */
const PATIENCE_MS = 150_000;

type Answer<T> = T | false | undefined | null;
type Ask<T> = () => Promise<Answer<T>> | Answer<T>;

/**
 * Asks again and again until there is an answer. A question that fails counts as one without an answer.
 * @throws Error with the question, and with its last failure
 */
export async function until<T>(...args: [ask: Ask<T>] | [what: string, ask: Ask<T>, ms?: number | undefined]): Promise<T> {
  const [what, ask, ms = PATIENCE_MS] =
    typeof args[0] === 'string' ? (args as [string, Ask<T>, number | undefined]) : [args[0].toString(), args[0]];
  let last: unknown;
  for (const end = performance.now() + ms; performance.now() < end;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== undefined && answer !== null) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((again) => setTimeout(again, EVERY_MS));
  }
  throw new Error(`not within ${ms} ms: ${what.slice(0, 200)}${last instanceof Error ? ` (${last.message})` : ''}`, { cause: last });
}
