export type Log = {
  info: (fields: object, event: string) => void;
  warn: (fields: object, event: string) => void;
  error: (fields: object, event: string) => void;
};
