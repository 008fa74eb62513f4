import type { Json } from '../json.ts';

/** Version of the engine, stored with every plan: the parser's version and the version of our own semantics. */
export const EXPRESSIONS = 'cel-8.0.0/1';

/** A place in the data that an expression reads: `tasks.a.output.x` is `{ root: 'tasks', task: 'a', field: 'output', path: ['x'] }`. */
export type Reference = { root: string; task?: string; field?: string; path: string[] };

/** What an expression may name. `names` are the roots that exist here; without `tasks` any task id is accepted; `secrets` allows `${secrets.name}`. */
export type Scope = { names: readonly string[]; tasks?: ReadonlySet<string>; secrets?: boolean };

/** One fault found at compile. `pointer` is relative to the compiled value (RFC 6901), `offset` counts UTF-16 units from 0 in the string it points to. */
export type ExpressionIssue = { pointer: string; code: string; message: string; hint?: string; offset?: number };

/** The data by root name: `{ input, tasks: { [id]: { output, status, error, items? } }, run, item?, index?, secrets? }`. */
export type Bindings = { [name: string]: Json };

/**
 * A compiled value. `evaluate` is pure and never changes the bindings; what it returns may share parts with the bindings and with other
 * results, so it must not be changed either.
 */
export type Compiled = {
  references: Reference[];
  /** Set when the value is exactly one plain reference, which can then be passed on without being read. */
  whole?: Reference;
  /** Every expression in the value is one plain reference, so that what they name is passed on unread. */
  plain?: boolean;
  /** @throws Problem expression_failed | expression_too_costly | number_out_of_range */
  evaluate: (bindings: Bindings) => Json;
};

/** `steps` is the budget of one `evaluate` (default 100_000). */
export type ExpressionOptions = { steps?: number };

export type CompileResult = { compiled: Compiled } | { issues: ExpressionIssue[] };
