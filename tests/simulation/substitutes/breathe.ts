/** In place of src/activities/breathe.ts, which keeps the time of a process: here the event loop turns between any two tasks. */
export const breathe = (): Promise<void> => new Promise((turned) => setImmediate(turned));
