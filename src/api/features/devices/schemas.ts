import { z } from 'zod';
import { text, time } from '../../schemas.ts';

export const AskDevice = z
  .strictObject({ deviceName: text(100).optional().meta({ description: 'What the person is shown, and what the session is called' }) })
  .default({})
  .meta({ id: 'AskDevice' });

export const DeviceAsked = z
  .object({
    deviceCode: z.string().meta({ description: 'To be kept by the device: nobody else can take the tokens' }),
    userCode: z.string().meta({ description: 'To be typed by a person', examples: ['WDJB-MJHT'] }),
    verificationUri: z.string().meta({ description: 'Where they type it' }),
    verificationUriComplete: z.string().meta({ description: 'The same with the code behind `#`' }),
    expiresIn: z.int().meta({ description: 'Seconds' }),
    interval: z.int().meta({ description: 'Seconds between two polls; `slow_down` adds five' }),
  })
  .meta({ id: 'DeviceAsked', description: 'RFC 8628, 3.2' });

export const PollDevice = z.strictObject({ deviceCode: z.string().min(1).max(200) }).meta({ id: 'PollDevice' });

export const userCodeParams = z.object({
  userCode: z
    .string()
    .max(100)
    .meta({ description: 'Case, blanks and dashes are nothing', examples: ['WDJB-MJHT'] }),
});

export const AskingDevice = z
  .object({
    userCode: z.string(),
    deviceName: z.string().nullable(),
    ip: z.string(),
    userAgent: z.string(),
    createdAt: time,
    expiresAt: time,
  })
  .meta({ id: 'AskingDevice', description: 'A device that asks to be signed in' });
