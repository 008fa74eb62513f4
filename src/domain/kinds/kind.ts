import type { Json, JsonObject, JsonSchema } from '../json.ts';
import type { TaskClass } from '../plan/plan.ts';

/**
 * How a field of `with` is written: `template` may hold `${…}` anywhere in its value; `literal` may not (it is read by
 * the compiler); `condition` is one expression that gives true or false, written with or without `${ }`.
 */
type FieldForm = 'template' | 'literal' | 'condition';

export type Field = {
  description: string;
  /** Of the value after evaluation. */
  schema: JsonSchema;
  form: FieldForm;
  required?: boolean;
  default?: Json;
  /** May hold `${secrets.name}`. */
  secret?: boolean;
  /** A large output that it names as a whole reaches the executor unread, as a reference. Its schema must be `true`. */
  byReference?: boolean;
  /** A whole definition, checked by itself: what looks like an expression in it is none of this one. */
  definition?: boolean;
};

/** What a task of this kind is, for compiler, checks, docs and editors. How it executes is in `activities/kinds`. */
export type Kind = {
  name: string;
  class: TaskClass;
  summary: string;
  with: { [field: string]: Field };
  /** Of these fields exactly one must be there. */
  exactlyOne?: readonly string[];
  output: JsonSchema;
  /** Codes of `PROBLEMS` that its attempts may end with; `retryable` = worth a retry unless the task says otherwise. */
  failures: { [code: string]: { retryable: boolean; when: string } };
  /** Of one attempt, ms; of kinds with attempts: effects, and activities of users. */
  defaultTimeoutMs?: number;
  /** Does something for the product itself: only the system workspace may use it. */
  system?: boolean;
  /** Runs in a worker thread, several ms of CPU each. */
  heavy?: boolean;
  example: JsonObject;
};

export const defineKind = (kind: Kind): Kind => kind;

/** Whether it touches the outside in attempts, each with a timeout: in our workers, or in those of users. */
export const hasAttempts = (kind: Kind): boolean => kind.class === 'effect' || kind.defaultTimeoutMs !== undefined;
