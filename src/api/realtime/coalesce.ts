/**
 * Calls `work` at least once after every call of the returned function, never twice at a time, so that a burst of hints
 * costs one query. What `work` throws goes to `failed`.
 */
export function coalesce(work: () => Promise<void>, failed: (error: unknown) => void): () => void {
  let wanted = false;
  let running = false;
  const run = async () => {
    running = true;
    while (wanted) {
      wanted = false;
      await work().catch(failed);
    }
    running = false;
  };
  return () => {
    wanted = true;
    if (!running) void run();
  };
}
