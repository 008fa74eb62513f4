import { ApplicationFailure, type DataConverter } from '@temporalio/common';
import { fileURLToPath } from 'node:url';
import { Problem } from '../domain/problem.ts';
import type { PayloadCipher } from '../providers/payloadCipher/payloadCipher.ts';

/** Exports the failure converter that puts message and stack of a failure into a payload, for the cipher to seal. */
const SEALED_FAILURES = fileURLToPath(new URL('./sealedFailures.ts', import.meta.url));

/**
 * What every client and worker of ours is given, so that all that enters Temporal is sealed: arguments, results, failures,
 * heartbeats, signals, memo, summaries and details. Temporal's own index needs search attributes in the open.
 */
export function createDataConverter(cipher: PayloadCipher): DataConverter {
  const { seal, open, keyId } = cipher;
  return {
    ...(keyId === null ? {} : { failureConverterPath: SEALED_FAILURES }),
    payloadCodecs: [
      {
        encode: (payloads) => Promise.resolve(payloads.map(seal)),
        // eslint-disable-next-line @typescript-eslint/require-await -- a throw has to become a rejection
        decode: async (payloads) => payloads.map((payload) => opened(open, payload)),
      },
    ],
  };
}

/** The failure's type is how the reconciler knows it again; a retry may meet a worker that has the key. */
function opened(open: PayloadCipher['open'], payload: Parameters<PayloadCipher['open']>[0]) {
  try {
    return open(payload);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw ApplicationFailure.retryable(error.message, error.code);
  }
}

/** What a call throws when the answer holds a payload that does not open. */
export const isUnreadable = (error: unknown): boolean =>
  error instanceof Error &&
  ((error instanceof ApplicationFailure && (error.type === 'payload_key_unknown' || error.type === 'payload_not_opened')) ||
    isUnreadable(error.cause));
