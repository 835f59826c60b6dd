/** The table of commands, in the order in which help lists them. */
import type { CommandEntry } from './command.ts'

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: 'write a starting project that runs',
    load: async () => (await import('./commands/init.ts')).command,
  },
  {
    name: 'validate',
    summary: 'check the project without connecting to anything',
    load: async () => (await import('./commands/validate.ts')).command,
  },
  {
    name: 'preview',
    summary: 'show the requests that the next run would send, and send nothing',
    load: async () => (await import('./commands/preview.ts')).command,
  },
  {
    name: 'test',
    summary: 'run the tests of syncs, without a source and an API',
    load: async () => (await import('./commands/test.ts')).command,
  },
  {
    name: 'run',
    summary: 'find what changed, send it, and wait for the outcome',
    load: async () => (await import('./commands/run.ts')).command,
  },
  {
    name: 'send',
    summary: 'send one real request as a test that changes no state',
    load: async () => (await import('./commands/send.ts')).command,
  },
  {
    name: 'up',
    summary: 'serve the project: schedules, the console and the API',
    load: async () => (await import('./commands/up.ts')).command,
  },
  {
    name: 'service',
    summary: 'run one service of a distributed Sluice',
    load: async () => (await import('./commands/service.ts')).command,
  },
  {
    name: 'diff',
    summary: 'show what apply would change',
    load: async () => (await import('./commands/apply.ts')).diffCommand,
  },
  {
    name: 'apply',
    summary: 'store the resources of the folder, so that runs use them',
    load: async () => (await import('./commands/apply.ts')).applyCommand,
  },
  {
    name: 'history',
    summary: 'list the versions of a stored resource',
    load: async () => (await import('./commands/versions.ts')).historyCommand,
  },
  {
    name: 'rollback',
    summary: 'restore an earlier version of a stored resource',
    load: async () => (await import('./commands/versions.ts')).rollbackCommand,
  },
  {
    name: 'approve',
    summary: 'approve a held run',
    load: async () => (await import('./commands/ask.ts')).approveCommand,
  },
  {
    name: 'cancel',
    summary: 'end a run that is queued, held or under way',
    load: async () => (await import('./commands/ask.ts')).cancelCommand,
  },
  {
    name: 'retry',
    summary: 'retry rows that were not delivered',
    load: async () => (await import('./commands/ask.ts')).retryCommand,
  },
  {
    name: 'discard',
    summary: 'discard rows that were not delivered',
    load: async () => (await import('./commands/ask.ts')).discardCommand,
  },
  {
    name: 'resync',
    summary: 'send every row again',
    load: async () => (await import('./commands/ask.ts')).resyncCommand,
  },
  {
    name: 'replay',
    summary: 'send recorded requests again, as they were',
    load: async () => (await import('./commands/replay.ts')).command,
  },
  {
    name: 'reset',
    summary: 'forget what was delivered',
    load: async () => (await import('./commands/ask.ts')).resetCommand,
  },
  {
    name: 'syncs',
    summary: 'list the syncs: state, last and next run',
    load: async () => (await import('./commands/syncs.ts')).command,
  },
  {
    name: 'destinations',
    summary: 'list the destinations: the health of each, and why',
    load: async () => (await import('./commands/destinations.ts')).command,
  },
  {
    name: 'runs',
    summary: 'list the runs so far',
    load: async () => (await import('./commands/runs.ts')).runsCommand,
  },
  {
    name: 'runs show',
    summary: 'show one run with the rows that were not delivered',
    load: async () => (await import('./commands/runs.ts')).runsShowCommand,
  },
  {
    name: 'attempts',
    summary: 'show requests and answers as sent and received',
    load: async () => (await import('./commands/attempts.ts')).command,
  },
  {
    name: 'row',
    summary: 'show the state of one row, and all that happened to it',
    load: async () => (await import('./commands/row.ts')).command,
  },
  {
    name: 'failed',
    summary: 'list the rows that wait for a retry, and why',
    load: async () => (await import('./commands/failed.ts')).command,
  },
  {
    name: 'alerts',
    summary: 'list the alerts: which fire now, and notices that were not sent',
    load: async () => (await import('./commands/alerts.ts')).alertsCommand,
  },
  {
    name: 'alerts test',
    summary: 'send a test notice to the recipient of an alert',
    load: async () => (await import('./commands/alerts.ts')).alertsTestCommand,
  },
  {
    name: 'secret set',
    summary: 'keep a secret in the vault, encrypted',
    load: async () => (await import('./commands/secrets.ts')).setCommand,
  },
  {
    name: 'secret list',
    summary: 'list the secrets of the vault, never their values',
    load: async () => (await import('./commands/secrets.ts')).listCommand,
  },
  {
    name: 'secret remove',
    summary: 'remove a secret from the vault',
    load: async () => (await import('./commands/secrets.ts')).removeCommand,
  },
  {
    name: 'secret reseal',
    summary: 'encrypt the vault with the newest key again',
    load: async () => (await import('./commands/secrets.ts')).resealCommand,
  },
  {
    name: 'auth',
    summary: 'log in to a destination in a browser',
    load: async () => (await import('./commands/auth.ts')).command,
  },
  {
    name: 'backup',
    summary: 'copy the log of the project, also while it is at work',
    load: async () => (await import('./commands/backup.ts')).backupCommand,
  },
  {
    name: 'restore',
    summary: 'put a backup in the place of the log',
    load: async () => (await import('./commands/backup.ts')).restoreCommand,
  },
  {
    name: 'doctor',
    summary: 'check what Sluice needs, and say what to change',
    load: async () => (await import('./commands/doctor.ts')).command,
  },
  {
    name: 'upgrade',
    summary: 'say before an upgrade what this version does with what is there',
    load: async () => (await import('./commands/upgrade.ts')).command,
  },
  {
    name: 'topics',
    summary: 'print the topics and rights that the syncs need on Kafka',
    load: async () => (await import('./commands/topics.ts')).command,
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    load: async () => (await import('./commands/completion.ts')).command,
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of project files, for editors',
    load: async () => (await import('./commands/schema.ts')).command,
  },
  {
    name: 'version',
    summary: 'print the version',
    load: async () => (await import('./commands/version.ts')).command,
  },
  {
    name: 'help',
    summary: 'explain sluice, or one command',
    load: async () => (await import('./commands/help.ts')).command,
  },
]
