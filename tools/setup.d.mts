/** Where an embedded PostgreSQL lives and as whom it runs; `user` is empty when it runs as the caller. */
export type PostgresPlace = { native: string; data: string; user: { uid?: number; gid?: number } };
export declare function postgresPlace(): PostgresPlace;
/** Makes a cluster with one superuser `tiu`; its password is kept in the file. @returns whether it was new */
export declare function makeCluster(place: PostgresPlace, passwordFile: string): boolean;
export declare function temporalBinary(): string | undefined;
/** Takes a lock file that names its owner. @returns a function that frees it, or undefined if a living process holds it */
export declare function tryLock(file: string): (() => void) | undefined;
/** Process id of the living owner of such a lock. */
export declare function lockOwner(file: string): number | undefined;
/** When a process started, as the system counts; empty if it does not run or the system does not tell. */
export declare function processStart(pid: number): string;
