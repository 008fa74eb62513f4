/** Where an embedded PostgreSQL lives and as whom it runs; `user` is empty when it runs as the caller. */
export type PostgresPlace = { native: string; data: string; user: { uid?: number; gid?: number } };
export declare function postgresPlace(): PostgresPlace;
export declare function makeCluster(place: PostgresPlace, passwordFile: string): boolean;
export declare function temporalBinary(): string | undefined;
