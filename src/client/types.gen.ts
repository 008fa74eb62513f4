// Made from docs/openapi.json by `npm run generate`.
export type paths = {
    "/api/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document as a page */
        get: operations["getApiDocs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/docs/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Parts of the page */
        get: operations["getApiDocsFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["getApiOpenapiJson"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/api-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Keys of the workspace, newest first
         * @description Needs the scope `keys:manage`.
         */
        get: operations["getApiV1ApiKeys"];
        put?: never;
        /**
         * Make a key
         * @description A key may be given only what its maker has.
         *
         *     Needs the scope `keys:manage`.
         */
        post: operations["postApiV1ApiKeys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/api-keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a key
         * @description Needs the scope `keys:manage`.
         */
        delete: operations["deleteApiV1ApiKeysId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/artifacts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Upload an artifact
         * @description The body is the content, its `Content-Type` the media type. Content-addressed: the same bytes are the same artifact, so repeating is harmless.
         *
         *     Needs the scope `artifacts:write`.
         */
        post: operations["postApiV1Artifacts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/artifacts/{sha256}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Content of an artifact
         * @description Needs the scope `artifacts:read`.
         */
        get: operations["getApiV1ArtifactsSha256"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Runs, newest first
         * @description Needs the scope `runs:read`.
         */
        get: operations["getApiV1Runs"];
        put?: never;
        /**
         * Start a run
         * @description Needs `Idempotency-Key`, or a `runId` of the client. An `application/yaml` body is a definition that is run without input.
         *
         *     Needs the scope `runs:write`.
         */
        post: operations["postApiV1Runs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One run
         * @description `Prefer: wait=N` (at most 60 s) waits for its end first.
         *
         *     Needs the scope `runs:read`.
         */
        get: operations["getApiV1RunsId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ask a run to end; a second time forces it
         * @description Needs the scope `runs:write`.
         */
        post: operations["postApiV1RunsIdCancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Events of a run after a number
         * @description With `Accept: text/event-stream` they are streamed as they come, `id:` being their number, until the run is closed; `Last-Event-ID` continues a stream.
         *
         *     Needs the scope `runs:read`.
         */
        get: operations["getApiV1RunsIdEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/output": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What a run gave
         * @description Needs the scope `runs:read`.
         */
        get: operations["getApiV1RunsIdOutput"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tasks of a run
         * @description Needs the scope `runs:read`.
         */
        get: operations["getApiV1RunsIdTasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/tasks/{task}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One task, with its output
         * @description Needs the scope `runs:read`.
         */
        get: operations["getApiV1RunsIdTasksTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/tasks/{task}/items": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Items of a mapped task, by index
         * @description Needs the scope `runs:read`.
         */
        get: operations["getApiV1RunsIdTasksTaskItems"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workflows": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Stored workflows by name, the newest version of each
         * @description Needs the scope `workflows:read`.
         */
        get: operations["getApiV1Workflows"];
        put?: never;
        /**
         * Store a definition as the next version of its name
         * @description Needs the scope `workflows:write`.
         */
        post: operations["postApiV1Workflows"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workflows/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One workflow with its source
         * @description Needs the scope `workflows:read`.
         */
        get: operations["getApiV1WorkflowsName"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workflows/{name}/execute": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a run of a stored workflow
         * @description Needs the scope `runs:write`.
         */
        post: operations["postApiV1WorkflowsNameExecute"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workflows/{name}/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Versions of a workflow, newest first
         * @description Needs the scope `workflows:read`.
         */
        get: operations["getApiV1WorkflowsNameVersions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workflows/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * All faults of a definition, or what it would become
         * @description Needs the scope `workflows:read`.
         */
        post: operations["postApiV1WorkflowsCheck"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Workers, Temporal, reconciler and open runs
         * @description Needs the scope `system:read`.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Is the process alive */
        get: operations["getHealthLive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** May requests be sent here: database reachable, schema current */
        get: operations["getHealthReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Figures of this process for Prometheus
         * @description Needs the scope `system:read`.
         */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
};
export type webhooks = Record<string, never>;
export type components = {
    schemas: {
        ApiKey: {
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            lastUsedAt: string | null;
            name: string;
            scopes: ("runs:read" | "runs:write" | "workflows:read" | "workflows:write" | "artifacts:read" | "artifacts:write" | "keys:manage" | "system:read")[];
        };
        ApiKeyList: {
            items: components["schemas"]["ApiKey"][];
            /** @description Of the next page; null on the last one */
            nextCursor: string | null;
        };
        Artifact: {
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            links: {
                self: string;
            };
            mediaType: string;
            name: string | null;
            sha256: string;
            size: number;
        };
        CancelRun: {
            reason?: string;
        };
        Check: {
            hash: string | null;
            issues: components["schemas"]["Issue"][];
            plan: {
                tasks: {
                    /** @enum {string} */
                    class: "inline" | "effect" | "control";
                    dependsOn: string[];
                    id: string;
                    kind: string;
                    mapped: boolean;
                }[];
            } | null;
            prediction: {
                [key: string]: unknown;
            } | null;
            valid: boolean;
        };
        CreateApiKey: {
            name: string;
            scopes: ("runs:read" | "runs:write" | "workflows:read" | "workflows:write" | "artifacts:read" | "artifacts:write" | "keys:manage" | "system:read")[];
        };
        /** @description The definition itself, or `{ definition }` with it as an object or as YAML text */
        DefinitionBody: {
            definition: {
                [key: string]: unknown;
            } | string;
        } | {
            [key: string]: unknown;
        };
        EventList: {
            items: components["schemas"]["RunEvent"][];
            lastSeq: number;
        };
        ExecuteWorkflow: {
            /** @description Any JSON value */
            input?: unknown;
            labels?: {
                [key: string]: string;
            };
            /** @enum {string} */
            priority?: "critical" | "high" | "normal" | "low";
            /**
             * Format: uuid
             * @description A v7 within a day of now becomes the id of the run; any other is an idempotency key only
             */
            runId?: string;
            version?: number | string;
        };
        /** @description Why a run, task or item did not complete */
        Failure: {
            code: string;
            /** @description Any JSON value */
            data?: unknown;
            message: string;
        };
        Health: {
            database: boolean;
            /** Format: date-time */
            lastReconcileAt: string | null;
            migrations: boolean;
            openRuns: {
                [key: string]: number;
            };
            /** @enum {string} */
            status: "ok" | "unavailable";
            /** @description Some worker reaches it */
            temporal: boolean;
            workers: {
                id: string;
                name: string;
                /** Format: date-time */
                reconciledAt: string | null;
                /**
                 * Format: date-time
                 * @description UTC, ISO 8601 with milliseconds
                 * @example 2026-11-25T08:00:00.000Z
                 */
                seenAt: string;
                /**
                 * Format: date-time
                 * @description UTC, ISO 8601 with milliseconds
                 * @example 2026-11-25T08:00:00.000Z
                 */
                startedAt: string;
                temporal: boolean;
                version: string;
            }[];
        };
        /** @description One fault of a document */
        Issue: {
            code: string;
            column?: number;
            hint?: string;
            line?: number;
            message: string;
            /** @description JSON Pointer (RFC 6901) */
            pointer: string;
        };
        Item: {
            attempt: number;
            failure: components["schemas"]["Failure"] | null;
            /** Format: date-time */
            finishedAt: string | null;
            generation: number;
            index: number;
            /** Format: date-time */
            nextAttemptAt: string | null;
            /** @description Any JSON value */
            output: unknown;
            /** @description SHA-256 of an output that is kept in the object store and not shown here */
            outputRef: string | null;
            /** @description Bytes of its JSON */
            outputSize: number | null;
            /** Format: date-time */
            startedAt: string | null;
            /** @enum {string} */
            status: "pending" | "completed" | "failed" | "skipped" | "blocked" | "timed_out" | "cancelled" | "waiting" | "running" | "retrying";
        };
        ItemList: {
            items: components["schemas"]["Item"][];
            /** @description Of the next page; null on the last one */
            nextCursor: string | null;
        };
        Live: {
            /** @constant */
            status: "ok";
        };
        NewApiKey: {
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            /** Format: uuid */
            id: string;
            /** @description Shown here and never again; null when the answer is replayed */
            key: string | null;
            /** Format: date-time */
            lastUsedAt: string | null;
            name: string;
            scopes: ("runs:read" | "runs:write" | "workflows:read" | "workflows:write" | "artifacts:read" | "artifacts:write" | "keys:manage" | "system:read")[];
        };
        /** @description RFC 9457 problem details */
        Problem: {
            /** @description Stable; what programs decide by */
            code: string;
            detail?: string;
            issues?: components["schemas"]["Issue"][];
            requestId: string;
            status: number;
            title: string;
            type: string;
        };
        Ready: {
            database: boolean;
            migrations: boolean;
            /** @enum {string} */
            status: "ok" | "unavailable";
        };
        Run: {
            /** @description Tasks in all, not finished, and by status */
            counts: {
                blocked?: number;
                cancelled?: number;
                completed?: number;
                failed?: number;
                open: number;
                pending?: number;
                retrying?: number;
                running?: number;
                skipped?: number;
                timed_out?: number;
                total: number;
                waiting?: number;
            };
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            createdBy: string;
            /** Format: date-time */
            deadlineAt: string | null;
            failure: components["schemas"]["Failure"] | null;
            /** Format: date-time */
            finishedAt: string | null;
            /** Format: uuid */
            id: string;
            /** @description What the run was asked and has not reached yet */
            intent: ("cancel" | "force" | "timeout" | "fail") | null;
            labels: {
                [key: string]: unknown;
            };
            /** @description Number of its last event; also its ETag */
            lastSeq: number;
            links: {
                events: string;
                output: string;
                self: string;
                tasks: string;
                temporal: string;
            };
            /** @enum {string} */
            priority: "critical" | "high" | "normal" | "low";
            reason: string | null;
            /** Format: date-time */
            startedAt: string | null;
            /** @enum {string} */
            status: "queued" | "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled" | "timed_out";
            workflow: {
                name: string;
                /** @description Of the stored definition; null for one that came with the run */
                number: number | null;
            };
        };
        RunEvent: {
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            at: string;
            attempt?: number;
            /** @description Any JSON value */
            data?: unknown;
            item?: number;
            /** Format: uuid */
            runId: string;
            seq: number;
            task?: string;
            type: string;
        };
        RunList: {
            items: components["schemas"]["Run"][];
            /** @description Of the next page; null on the last one */
            nextCursor: string | null;
            total?: number;
        };
        RunOutput: {
            /** @description Any JSON value */
            output: unknown;
            /** Format: uuid */
            runId: string;
            /** @enum {string} */
            status: "queued" | "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled" | "timed_out";
        };
        RunResult: {
            /** @description Tasks in all, not finished, and by status */
            counts: {
                blocked?: number;
                cancelled?: number;
                completed?: number;
                failed?: number;
                open: number;
                pending?: number;
                retrying?: number;
                running?: number;
                skipped?: number;
                timed_out?: number;
                total: number;
                waiting?: number;
            };
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            createdBy: string;
            /** Format: date-time */
            deadlineAt: string | null;
            failure: components["schemas"]["Failure"] | null;
            /** Format: date-time */
            finishedAt: string | null;
            /** Format: uuid */
            id: string;
            /** @description What the run was asked and has not reached yet */
            intent: ("cancel" | "force" | "timeout" | "fail") | null;
            labels: {
                [key: string]: unknown;
            };
            /** @description Number of its last event; also its ETag */
            lastSeq: number;
            links: {
                events: string;
                output: string;
                self: string;
                tasks: string;
                temporal: string;
            };
            /** @description Null unless the run completed */
            output: unknown;
            /** @enum {string} */
            priority: "critical" | "high" | "normal" | "low";
            reason: string | null;
            /** Format: date-time */
            startedAt: string | null;
            /** @enum {string} */
            status: "queued" | "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled" | "timed_out";
            workflow: {
                name: string;
                /** @description Of the stored definition; null for one that came with the run */
                number: number | null;
            };
        };
        StartRun: {
            /** @description The definition itself: an object, or YAML (or JSON) text */
            definition?: {
                [key: string]: unknown;
            } | string;
            /** @description Any JSON value */
            input?: unknown;
            labels?: {
                [key: string]: string;
            };
            /** @enum {string} */
            priority?: "critical" | "high" | "normal" | "low";
            /**
             * Format: uuid
             * @description A v7 within a day of now becomes the id of the run; any other is an idempotency key only
             */
            runId?: string;
            /** @description A stored one */
            workflow?: {
                name: string;
                version?: number | string;
            };
        };
        Task: {
            attempt: number;
            dependsOn: string[];
            failure: components["schemas"]["Failure"] | null;
            /** Format: date-time */
            finishedAt: string | null;
            generation: number;
            id: string;
            /** @description Of a mapped task: items by status */
            items: {
                blocked?: number;
                cancelled?: number;
                completed?: number;
                failed?: number;
                pending?: number;
                retrying?: number;
                running?: number;
                skipped?: number;
                timed_out?: number;
                waiting?: number;
            } | null;
            kind: string;
            /** Format: date-time */
            nextAttemptAt: string | null;
            /** @description Bytes of its JSON */
            outputSize: number | null;
            /** Format: date-time */
            startedAt: string | null;
            /** @enum {string} */
            status: "pending" | "completed" | "failed" | "skipped" | "blocked" | "timed_out" | "cancelled" | "waiting" | "running" | "retrying";
            title: string | null;
        };
        TaskDetail: {
            attempt: number;
            dependsOn: string[];
            failure: components["schemas"]["Failure"] | null;
            /** Format: date-time */
            finishedAt: string | null;
            generation: number;
            id: string;
            /** @description Of a mapped task: items by status */
            items: {
                blocked?: number;
                cancelled?: number;
                completed?: number;
                failed?: number;
                pending?: number;
                retrying?: number;
                running?: number;
                skipped?: number;
                timed_out?: number;
                waiting?: number;
            } | null;
            kind: string;
            /** Format: date-time */
            nextAttemptAt: string | null;
            /** @description Any JSON value */
            output: unknown;
            /** @description Bytes of its JSON */
            outputSize: number | null;
            /** Format: date-time */
            startedAt: string | null;
            /** @enum {string} */
            status: "pending" | "completed" | "failed" | "skipped" | "blocked" | "timed_out" | "cancelled" | "waiting" | "running" | "retrying";
            title: string | null;
        };
        TaskList: {
            items: components["schemas"]["Task"][];
        };
        Workflow: {
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            createdBy: string;
            /** @description Of the canonical form of the definition */
            hash: string;
            links: {
                execute: string;
                self: string;
                versions: string;
            };
            name: string;
            /** @description Counts the stored versions of a name from 1 */
            number: number;
            title: string | null;
            /** @description As the definition says */
            version: string | null;
        };
        WorkflowDetail: {
            /**
             * Format: date-time
             * @description UTC, ISO 8601 with milliseconds
             * @example 2026-11-25T08:00:00.000Z
             */
            createdAt: string;
            createdBy: string;
            /** @description Of the canonical form of the definition */
            hash: string;
            links: {
                execute: string;
                self: string;
                versions: string;
            };
            mediaType: string;
            name: string;
            /** @description Counts the stored versions of a name from 1 */
            number: number;
            source: string;
            title: string | null;
            /** @description As the definition says */
            version: string | null;
        };
        WorkflowList: {
            items: components["schemas"]["Workflow"][];
            /** @description Of the next page; null on the last one */
            nextCursor: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
};
export type $defs = Record<string, never>;
export interface operations {
    getApiDocs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description HTML */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
        };
    };
    getApiDocsFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
        };
    };
    getApiOpenapiJson: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
        };
    };
    getApiV1ApiKeys: {
        parameters: {
            query?: {
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKeyList"];
                };
            };
        };
    };
    postApiV1ApiKeys: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes repeating the request harmless for 7 days */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateApiKey"];
            };
        };
        responses: {
            /** @description Made */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewApiKey"];
                };
            };
        };
    };
    deleteApiV1ApiKeysId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is refused from now on; other processes notice within a second */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postApiV1Artifacts: {
        parameters: {
            query?: {
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "*/*": string;
            };
        };
        responses: {
            /** @description The workspace has this content already */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
        };
    };
    getApiV1ArtifactsSha256: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                sha256: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The bytes, as a download */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
        };
    };
    getApiV1Runs: {
        parameters: {
            query?: {
                count?: "true" | "false";
                cursor?: string;
                label?: string | string[];
                limit?: number;
                since?: string;
                sort?: "-createdAt";
                status?: ("queued" | "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled" | "timed_out") | ("queued" | "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled" | "timed_out")[];
                workflow?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunList"];
                };
            };
        };
    };
    postApiV1Runs: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes repeating the request harmless for 7 days */
                "Idempotency-Key"?: string;
                /** @description `wait=N`: answer with the result if the run ends within N seconds (at most 60) */
                Prefer?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StartRun"];
            };
        };
        responses: {
            /** @description It ended within the time that `Prefer: wait=N` (at most 60 s) asked for */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunResult"];
                };
            };
            /** @description Accepted: the run is durable */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    getApiV1RunsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The run */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    postApiV1RunsIdCancel: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes repeating the request harmless for 7 days */
                "Idempotency-Key"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CancelRun"];
            };
        };
        responses: {
            /** @description The command is durable and under way */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    getApiV1RunsIdEvents: {
        parameters: {
            query?: {
                after?: number;
                limit?: number;
            };
            header?: {
                /** @description Of a stream: the last event number received */
                "Last-Event-ID"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events in order, without a gap */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EventList"];
                };
            };
        };
    };
    getApiV1RunsIdOutput: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Its output; null unless it completed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunOutput"];
                };
            };
        };
    };
    getApiV1RunsIdTasks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of them, in an order that follows their edges */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskList"];
                };
            };
        };
    };
    getApiV1RunsIdTasksTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskDetail"];
                };
            };
        };
    };
    getApiV1RunsIdTasksTaskItems: {
        parameters: {
            query?: {
                cursor?: string;
                limit?: number;
                status?: ("pending" | "completed" | "failed" | "skipped" | "blocked" | "timed_out" | "cancelled" | "waiting" | "running" | "retrying") | ("pending" | "completed" | "failed" | "skipped" | "blocked" | "timed_out" | "cancelled" | "waiting" | "running" | "retrying")[];
            };
            header?: never;
            path: {
                id: string;
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of the items that something happened to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ItemList"];
                };
            };
        };
    };
    getApiV1Workflows: {
        parameters: {
            query?: {
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkflowList"];
                };
            };
        };
    };
    postApiV1Workflows: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes repeating the request harmless for 7 days */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DefinitionBody"];
            };
        };
        responses: {
            /** @description This content is stored already */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Workflow"];
                };
            };
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Workflow"];
                };
            };
        };
    };
    getApiV1WorkflowsName: {
        parameters: {
            query?: {
                version?: string;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The newest version, or the one asked for by its number or version */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkflowDetail"];
                };
            };
        };
    };
    postApiV1WorkflowsNameExecute: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes repeating the request harmless for 7 days */
                "Idempotency-Key"?: string;
                /** @description `wait=N`: answer with the result if the run ends within N seconds (at most 60) */
                Prefer?: string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ExecuteWorkflow"];
            };
        };
        responses: {
            /** @description It ended within the time that `Prefer: wait=N` (at most 60 s) asked for */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunResult"];
                };
            };
            /** @description Accepted: the run is durable */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    getApiV1WorkflowsNameVersions: {
        parameters: {
            query?: {
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkflowList"];
                };
            };
        };
    };
    postApiV1WorkflowsCheck: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DefinitionBody"];
            };
        };
        responses: {
            /** @description The verdict; nothing is stored */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Check"];
                };
            };
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As the database knows it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    getHealthLive: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Yes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Live"];
                };
            };
        };
    };
    getHealthReady: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Yes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ready"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Text exposition format */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
}
