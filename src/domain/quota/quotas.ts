/** What a workspace may have at once, and by which setting where its operators have said nothing. */
export const QUOTAS = {
  open_runs: { setting: 'TIU_QUOTA_OPEN_RUNS', what: 'open runs' },
  artifact_bytes: { setting: 'TIU_QUOTA_ARTIFACT_BYTES', what: 'bytes of artifacts and stored outputs' },
  sockets: { setting: 'TIU_QUOTA_SOCKETS', what: 'sockets in an API process' },
  api_keys: { setting: 'TIU_QUOTA_API_KEYS', what: 'API keys' },
  members: { setting: 'TIU_QUOTA_MEMBERS', what: 'members' },
} as const;

export type QuotaName = keyof typeof QUOTAS;
export const QUOTA_NAMES = Object.keys(QUOTAS) as QuotaName[];
