/** An entry on its way out of an archive, in the archive's order; a file if it has chunks, to be read before the next. */
export type RawEntry = { path: string; chunks: AsyncIterable<Buffer> | null; single?: true };
