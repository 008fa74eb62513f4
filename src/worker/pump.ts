export type Pump = {
  /** Does the work now, or once more after the round that is under way. */
  kick: () => void;
  /** Resolves when no round is under way. */
  idle: () => Promise<void>;
  /** The same; nothing starts any more. */
  stop: () => Promise<void>;
};

/** One round at a time; kicks that come meanwhile become one more round. `work` asks for another round by answering true. */
export function createPump(work: () => Promise<boolean>, onError: (error: unknown) => void): Pump {
  let wanted = false;
  let stopped = false;
  let running: Promise<void> | undefined;
  const rounds = async () => {
    while (wanted && !stopped) {
      wanted = false;
      try {
        if (await work()) wanted = true;
      } catch (error) {
        onError(error);
      }
    }
    running = undefined;
  };
  return {
    kick: () => {
      wanted = true;
      if (!stopped) running ??= rounds();
    },
    idle: async () => {
      await running;
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}
