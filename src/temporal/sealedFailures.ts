import { DefaultFailureConverter } from '@temporalio/common';

/** Loaded by the SDK, in the worker and into the bundle of workflow code. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
