import type { Json, JsonObject } from '../../domain/json.ts';
import type { Secrets } from '../secrets/readSecrets.ts';

/** One attempt of one task or item. */
export type Execution = {
  runId: string;
  workspace: string;
  taskId: string;
  /** -1 = the task itself. */
  item: number;
  generation: number;
  attempt: number;
  /** Of an effect, the same over all attempts: `runId/taskId/item/generation`. */
  key: string;
  /** Whose values are in the input: what the executor stores itself must not hold them. */
  secrets?: Secrets;
  signal: AbortSignal;
};

/** Does what a kind says. `input` is `with`, evaluated and checked against the kind. @throws Problem */
export type Executor = (input: JsonObject, execution: Execution) => Promise<Json>;

export type Executors = { readonly [kind: string]: Executor };
