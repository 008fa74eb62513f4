import { DefaultFailureConverter } from '@temporalio/common';

/** Puts message and stack of a failure into a payload, so that a codec seals them as well. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
