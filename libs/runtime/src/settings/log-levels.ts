/** What `SLUICE_LOG_LEVEL` may say, from the most to the least. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
