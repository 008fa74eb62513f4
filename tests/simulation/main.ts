import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MUTATIONS } from './mutations.ts';
import { installTime } from './substitutes/time.ts';

const ROOT = new URL('../../', import.meta.url).href;
const SOURCE = `${ROOT}src/`;

/** What the product's code gets in place of what it asks for. */
const SUBSTITUTES: readonly (readonly [asked: RegExp, file: string])[] = [
  [/^@temporalio\/workflow$/, 'workflow.ts'],
  [/^@temporalio\/activity$/, 'activity.ts'],
  [/^node:crypto$/, 'chance.ts'],
  [/\/connection\.ts$/, 'connection.ts'],
  [/\/encode\.ts$/, 'encode.ts'],
  [/\/breathe\.ts$/, 'breathe.ts'],
];

const name = process.env.MUTATION;
const mutation = name === undefined ? undefined : MUTATIONS[name];
if (name !== undefined && mutation === undefined) throw new Error(`no mutation ${name}: ${Object.keys(MUTATIONS).join(', ')}`);

registerHooks({
  resolve: (specifier, context, next) => {
    const substitute = context.parentURL?.startsWith(SOURCE) ? SUBSTITUTES.find(([asked]) => asked.test(specifier)) : undefined;
    if (!substitute) return next(specifier, context);
    return { url: new URL(`./substitutes/${substitute[1]}`, import.meta.url).href, format: 'module-typescript', shortCircuit: true };
  },
  load: (url, context, next) => {
    const loaded = next(url, context);
    if (url !== `${ROOT}${mutation?.file ?? ''}` || !mutation) return loaded;
    const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
    if (!source.includes(mutation.from)) throw new Error(`${fileURLToPath(url)} has no place for the mutation`);
    return { ...loaded, source: source.replace(mutation.from, () => mutation.to) };
  },
});
const turn = installTime();
const { runSeeds } = await import('./seeds.ts');
// Out of the module's own promise job, because promise callbacks are run by hand.
turn(() => {
  runSeeds(process.argv.slice(2), process.env.SEED);
});
