/** `at` with one more step (RFC 6901): `~` and `/` inside a key are written `~0` and `~1`. */
export const child = (at: string, key: string | number): string =>
  `${at}/${typeof key === 'number' ? key : key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** The keys a pointer goes through. */
export const stepsOf = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
