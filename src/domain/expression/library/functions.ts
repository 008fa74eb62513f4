import type { LibraryFunction } from './function.ts';
import { LISTS } from './lists.ts';
import { NUMBERS } from './numbers.ts';
import { TEXTS } from './texts.ts';

/** Every function by name. Macros and `matches`, whose arguments are compiled in their own way, are apart. */
export const FUNCTIONS: Readonly<Record<string, LibraryFunction>> = { ...NUMBERS, ...LISTS, ...TEXTS };
