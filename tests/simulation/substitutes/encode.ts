/** In place of src/db/encode.ts: columns as they are, because the simulated database reads no bytes. */
type Column<T> = readonly (T | null | undefined)[];

const asIs = <T>(column: Column<T>): Column<T> => column;

export { asIs as int4, asIs as int8, asIs as uuid, asIs as text, asIs as json, asIs as bytea };
