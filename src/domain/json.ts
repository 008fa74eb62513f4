/** A JSON value (RFC 8259). Numbers are IEEE 754 doubles; integers beyond 2^53 are refused where they would be rounded. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** A JSON Schema 2020-12 document, as data. */
export type JsonSchema = JsonObject | boolean;

export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
