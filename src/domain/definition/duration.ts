import { isObject, type Json, type JsonSchema } from '../json.ts';
import { LIMITS } from './limits.ts';

const UNITS = { weeks: 604_800_000, days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1_000, milliseconds: 1 } as const;

const ISO = /^P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;
const ISO_UNITS = [UNITS.weeks, UNITS.days, UNITS.hours, UNITS.minutes, UNITS.seconds];

/** How a duration is written: ISO 8601 in units of fixed length (`PT1H30M`, `P31D`, `PT0.5S`), or `{ minutes: 30 }`. */
export const DURATION_SCHEMA: JsonSchema = {
  anyOf: [
    { type: 'string', pattern: '^P(?:\\d+W)?(?:\\d+D)?(?:T(?:\\d+H)?(?:\\d+M)?(?:\\d+(?:\\.\\d{1,3})?S)?)?$' },
    {
      type: 'object',
      properties: Object.fromEntries(Object.keys(UNITS).map((unit) => [unit, { type: 'number', minimum: 0 }])),
      additionalProperties: false,
      minProperties: 1,
    },
  ],
};

/** A written duration in ms (whole, 0 to ten years), or undefined when it is not one. Years and months have no fixed length. */
export function durationMs(value: Json): number | undefined {
  const ms = typeof value === 'string' ? isoMs(value) : isObject(value) ? unitsMs(value) : undefined;
  return ms !== undefined && ms >= 0 && ms <= LIMITS.durationMs ? Math.round(ms) : undefined;
}

function isoMs(text: string): number | undefined {
  const parts = ISO.exec(text)?.slice(1);
  return parts?.reduce((sum, part, i) => sum + Number((part as string | undefined) ?? 0) * (ISO_UNITS[i] ?? 0), 0);
}

function unitsMs(value: { [unit: string]: Json }): number | undefined {
  const entries = Object.entries(value);
  const known = entries.every(([unit, n]) => Object.hasOwn(UNITS, unit) && typeof n === 'number' && n >= 0);
  if (!known || entries.length === 0) return undefined;
  return entries.reduce((sum, [unit, n]) => sum + (n as number) * UNITS[unit as keyof typeof UNITS], 0);
}
