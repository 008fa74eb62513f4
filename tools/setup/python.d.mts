/**
 * An interpreter, and the folder with Temporal's SDK for it (PYTHONPATH), which is got when it is not there.
 * @throws Error when there is no Python with pip, or no SDK to be had
 */
export declare function getPython(): Promise<{ python: string; folder: string }>;
