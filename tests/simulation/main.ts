import { registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { installTime } from './substitutes/time.ts';

const here = (file: string): string => new URL(`./substitutes/${file}`, import.meta.url).href;
const SOURCE = new URL('../../src/', import.meta.url).href;

/** What the product's code gets in place of what it asks for. */
const SUBSTITUTES: readonly (readonly [asked: RegExp, file: string])[] = [
  [/^@temporalio\/workflow$/, 'workflow.ts'],
  [/^@temporalio\/activity$/, 'activity.ts'],
  [/^node:crypto$/, 'chance.ts'],
  [/\/connection\.ts$/, 'connection.ts'],
  [/\/encode\.ts$/, 'encode.ts'],
  [/\/breathe\.ts$/, 'breathe.ts'],
];

registerHooks({
  resolve: (specifier, context, next) => {
    const substitute = context.parentURL?.startsWith(SOURCE) ? SUBSTITUTES.find(([asked]) => asked.test(specifier)) : undefined;
    return substitute ? { url: here(substitute[1]), format: 'module-typescript', shortCircuit: true } : next(specifier, context);
  },
});
const turn = installTime();
const { runSeeds } = await import('./seeds.ts');
void fileURLToPath;
void pathToFileURL;
// Out of the module's own promise job, because promise callbacks are run by hand.
turn(() => {
  runSeeds(process.argv.slice(2), process.env.SEED);
});
