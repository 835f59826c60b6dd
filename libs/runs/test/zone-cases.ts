/** Schedules and time zones whose clocks change in ways of their own. For tests. */
export const ZONES = [
  'UTC',
  'Europe/Paris',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe', // by half an hour
  'America/Santiago', // at midnight
  'Africa/Casablanca', // for Ramadan
  'Asia/Kathmandu', // 5:45 h from UTC
  'Africa/Cairo', // at midnight, on a Friday
  'Pacific/Auckland',
] as const

export const CRONS = [
  '*/15 * * * *',
  '7 * * * *',
  '30 2 * * *',
  '15,45 0-3 * * *',
  '*/20 */2 * * *',
  '0 0 * * *',
  '59 23 * * sun',
  '0 6 1,15 * mon',
  '30 1 * mar-apr,10-11 *',
] as const
