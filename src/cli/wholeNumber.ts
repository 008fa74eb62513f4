import { InvalidArgumentError } from 'commander';

/** Reads a count or an event number from the command line. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}
