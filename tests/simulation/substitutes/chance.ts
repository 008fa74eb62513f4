/** In place of node:crypto: ids that are the same in every repetition of a seed, in the order in which they were made. */
let made = 0;

export const restart = (): void => {
  made = 0;
};

const id = (version: string): string => {
  const digits = (++made).toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}-${version}000-8000-000000000000`;
};

export const randomUUID = (): string => id('4');
export const randomUUIDv7 = (): string => id('7');
