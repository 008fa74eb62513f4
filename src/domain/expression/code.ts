import type { Json } from '../json.ts';
import type { Bindings, ExpressionIssue, Reference, Scope } from './expression.ts';
import type { Meter } from './meter.ts';
import type { Node } from './parse.ts';

/** What a running expression sees. `locals` are the variables of macros, by slot. */
export type Frame = { readonly bindings: Bindings; readonly locals: (Json | undefined)[]; readonly meter: Meter };

export type Run = (frame: Frame) => Json;
export type RunOptional = (frame: Frame) => Json | undefined;

/** Compiled code of a node. With `optional` it may have no value (undefined); `run` then gives null instead. `literal` is set for constants. */
export type Code = { run: Run; optional?: RunOptional; literal?: Json };

export type Local = { name: string; slot: number; optional: boolean };

/** What compiling one expression needs and collects. Nested contexts differ in `locals` and `depth` only. */
export type Context = {
  readonly scope: Scope;
  readonly text: string;
  readonly locals: readonly Local[];
  readonly depth: number;
  /** Shared by all expressions of one template. */
  readonly shared: { slots: number; nodes: number };
  readonly references: Reference[];
  readonly issues: Omit<ExpressionIssue, 'pointer'>[];
  readonly compile: (node: Node, context: Context) => Code;
};

export const optionalCode = (optional: RunOptional): Code => ({ optional, run: (frame) => optional(frame) ?? null });

const NOTHING: Code = { run: () => null };

/** Records an issue; the returned code only lets the compiler go on and find more. */
export function refuse(context: Context, at: number, issue: { code: string; message: string; hint?: string | undefined }): Code {
  const { hint, ...rest } = issue;
  context.issues.push({ ...rest, ...(hint === undefined ? {} : { hint }), offset: at });
  return NOTHING;
}

/** A context in which a new variable is known. */
export function withLocal(context: Context, name: string, optional = false): { slot: number; inner: Context } {
  const slot = context.shared.slots++;
  return { slot, inner: { ...context, locals: [{ name, slot, optional }, ...context.locals] } };
}

export const findLocal = (context: Context, name: string): Local | undefined => context.locals.find((local) => local.name === name);

/** Source text of a node, for messages. */
export function sourceOf(context: Context, node: Node): string {
  const text = context.text.slice(node.start, node.end);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

export const suggestion = (name: string | undefined): string | undefined => (name === undefined ? undefined : `Did you mean ${name}?`);
