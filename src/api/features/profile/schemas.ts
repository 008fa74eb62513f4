import { z } from 'zod';
import { anyJson, maybeTime, text, time } from '../../schemas.ts';

const MAX_PREFERENCES = 8 * 2 ** 10;

const preferences = z.record(z.string(), anyJson);
const fullName = text(100).nullable();
const bio = text(500).nullable();
const avatarUrl = z
  .string()
  .max(500)
  .refine((value) => isPlainHttps(value), 'an https: address without a password')
  .nullable();

function isPlainHttps(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return url?.protocol === 'https:' && url.username === '' && url.password === '';
}

export const Profile = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    email: z.string().nullable(),
    emailVerified: z.boolean(),
    fullName: z.string().nullable(),
    bio: z.string().nullable(),
    avatarUrl: z.string().nullable(),
    preferences,
    createdAt: time,
    lastLoginAt: maybeTime,
  })
  .meta({ id: 'Profile', description: 'A person, as they see themselves' });

export const ChangeProfile = z
  .strictObject({
    fullName: fullName.optional(),
    bio: bio.optional(),
    avatarUrl: avatarUrl.optional(),
    preferences: preferences
      .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= MAX_PREFERENCES, `at most ${MAX_PREFERENCES} bytes as JSON`)
      .optional()
      .meta({ description: 'Whatever clients want to keep, at most 8 KiB; takes the place of what was there' }),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), 'names nothing to change')
  .meta({ id: 'ChangeProfile', description: 'What is not named stays; null takes it away' });

export const UserSettings = z
  .strictObject({
    notifications: z
      .strictObject({
        addressNamed: z
          .boolean()
          .default(true)
          .meta({ description: 'A mail when somebody names your mail address as theirs, to register or for another account' }),
      })
      .prefault({})
      .meta({ description: 'Which mails you get. Those about a change of how you sign in are always sent.' }),
    preferred: z
      .strictObject({
        workspace: z.uuid().nullable().default(null).meta({
          description: 'Where a new session acts while you are a member there; without it where you were last',
        }),
      })
      .prefault({}),
    locale: z
      .string()
      .max(100)
      .refine((value) => isLocale(value), 'a language tag (BCP 47) that is supported')
      .default('en')
      .meta({ description: 'For clients: how numbers, times and words are shown', examples: ['de-AT'] }),
    timeZone: z
      .string()
      .max(100)
      .refine((value) => isTimeZone(value), 'a time zone of the IANA list')
      .default('UTC')
      .meta({ description: 'For clients: in which times are shown', examples: ['Europe/Vienna'] }),
  })
  .meta({ id: 'UserSettings', description: 'What is not named has its default' });

function isLocale(value: string): boolean {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(value).length > 0;
  } catch {
    return false;
  }
}

function isTimeZone(value: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
