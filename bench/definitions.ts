/** Definitions of the shapes that are measured. A task is an async no-op with an output of 200 bytes unless it says otherwise. */
export type Shape = { name: string; deps: number[][] };

const base = JSON.stringify({ ok: true, pad: '' }).length;
/** 200 bytes as JSON. */
export const OUTPUT = { ok: true, pad: 'x'.repeat(200 - base) };

export const chain = (n: number): Shape => ({ name: 'chain', deps: Array.from({ length: n }, (_, i) => (i > 0 ? [i - 1] : [])) });

/** 1 → width → 1 */
export const fan = (width: number): Shape => ({
  name: 'fan',
  deps: [[], ...Array.from({ length: width }, () => [0]), Array.from({ length: width }, (_, i) => i + 1)],
});

/** Layers of `width`; each task depends on the whole layer before. */
export const layered = (n: number, width = 10): Shape => ({
  name: 'layered',
  deps: Array.from({ length: n }, (_, i) => {
    const layer = Math.floor(i / width);
    return layer > 0 ? Array.from({ length: width }, (_, k) => (layer - 1) * width + k) : [];
  }),
});

export const single = (): Shape => chain(1);
export const diamond = (): Shape => ({ ...fan(8), name: 'diamond' });
export const wide = (n: number): Shape => ({ name: 'wide', deps: Array.from({ length: n }, () => []) });

type Task = { type: string; with: object };

export const noOp: Task = { type: 'transform', with: { value: OUTPUT } };
/** One effect: an http call that is answered at once. */
export const call = (url: string): Task => ({ type: 'http', with: { method: 'POST', url, body: { ok: true } } });
export const pause = (ms: number): Task => ({ type: 'wait', with: { for: `PT${ms / 1000}S` } });

export function definitionOf(shape: Shape, task: Task = noOp, mode: 'standard' | 'express' = 'standard'): object {
  const name = (i: number) => `t${i}`;
  return {
    dsl: 'tiu/1',
    name: `bench-${shape.name}`,
    mode,
    tasks: Object.fromEntries(shape.deps.map((deps, i) => [name(i), { ...task, ...(deps.length > 0 && { dependsOn: deps.map(name) }) }])),
  };
}
