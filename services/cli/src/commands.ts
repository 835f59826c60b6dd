/** The table of commands, in the order in which help lists them. */
import type { CommandEntry } from './command.ts'

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: 'write a starting project that runs',
    load: () => import('./commands/project/init.ts'),
  },
  {
    name: 'validate',
    summary: 'check the project without connecting to anything',
    load: () => import('./commands/project/validate.ts'),
  },
  {
    name: 'preview',
    summary: 'show the requests that the next run would send, and send nothing',
    load: () => import('./commands/project/preview.ts'),
  },
  {
    name: 'run',
    summary: 'find what changed, send it, and wait for the outcome',
    load: () => import('./commands/ask/run.ts'),
  },
  {
    name: 'send',
    summary: 'send one real request as a test that changes no state',
    load: () => import('./commands/ask/send.ts'),
  },
  {
    name: 'up',
    summary: 'serve the project: an API, and runs for whoever asks',
    load: () => import('./commands/up.ts'),
  },
  {
    name: 'diff',
    summary: 'show what apply would change',
    load: () => import('./commands/resources/diff.ts'),
  },
  {
    name: 'apply',
    summary: 'store the resources of the folder, so that they count',
    load: () => import('./commands/resources/apply.ts'),
  },
  {
    name: 'history',
    summary: 'list the versions of a stored resource',
    load: () => import('./commands/resources/history.ts'),
  },
  {
    name: 'rollback',
    summary: 'make a stored resource what it was before',
    load: () => import('./commands/resources/rollback.ts'),
  },
  {
    name: 'approve',
    summary: 'approve a run that the removal guard holds',
    load: () => import('./commands/ask/approve.ts'),
  },
  {
    name: 'cancel',
    summary: 'end a run that is queued, held or under way',
    load: () => import('./commands/ask/cancel.ts'),
  },
  {
    name: 'retry',
    summary: 'retry rows that were not delivered',
    load: () => import('./commands/ask/retry.ts'),
  },
  {
    name: 'discard',
    summary: 'discard rows that were not delivered',
    load: () => import('./commands/ask/discard.ts'),
  },
  {
    name: 'resync',
    summary: 'send every row again',
    load: () => import('./commands/ask/resync.ts'),
  },
  {
    name: 'replay',
    summary: 'send recorded requests again, as they were',
    load: () => import('./commands/ask/replay.ts'),
  },
  {
    name: 'reset',
    summary: 'forget what was delivered',
    load: () => import('./commands/ask/reset.ts'),
  },
  {
    name: 'syncs',
    summary: 'list the syncs: how each is, its last and next run',
    load: () => import('./commands/look-back/syncs.ts'),
  },
  {
    name: 'runs',
    summary: 'list the runs so far',
    load: () => import('./commands/look-back/runs.ts'),
  },
  {
    name: 'runs show',
    summary: 'show one run with the rows that were not delivered',
    load: () => import('./commands/look-back/runs-show.ts'),
  },
  {
    name: 'attempts',
    summary: 'show requests and answers as sent and received',
    load: () => import('./commands/look-back/attempts.ts'),
  },
  {
    name: 'row',
    summary: 'show all that happened to one row, and what its state is',
    load: () => import('./commands/look-back/row.ts'),
  },
  {
    name: 'failed',
    summary: 'list the rows that wait for a retry, and why',
    load: () => import('./commands/look-back/failed.ts'),
  },
  {
    name: 'alerts',
    summary: 'list the alerts, what holds now, and what could not be told',
    load: () => import('./commands/alerts/alerts.ts'),
  },
  {
    name: 'alerts test',
    summary: 'tell a test notice to whom an alert names',
    load: () => import('./commands/alerts/alerts-test.ts'),
  },
  {
    name: 'secret set',
    summary: 'keep a secret in the vault, encrypted',
    load: () => import('./commands/vault/secret-set.ts'),
  },
  {
    name: 'secret list',
    summary: 'list the secrets of the vault, never their values',
    load: () => import('./commands/vault/secret-list.ts'),
  },
  {
    name: 'secret remove',
    summary: 'remove a secret from the vault',
    load: () => import('./commands/vault/secret-remove.ts'),
  },
  {
    name: 'secret reseal',
    summary: 'encrypt the vault with the newest key again',
    load: () => import('./commands/vault/secret-reseal.ts'),
  },
  {
    name: 'auth',
    summary: 'log in to a destination in a browser',
    load: () => import('./commands/vault/auth.ts'),
  },
  {
    name: 'doctor',
    summary: 'look at what Sluice needs, and say what to change',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'topics',
    summary: 'print the topics and rights that the syncs need on Kafka',
    load: () => import('./commands/project/topics.ts'),
  },
  {
    name: 'completion',
    summary: 'print a script with which a shell completes commands',
    load: () => import('./commands/completion/completion.ts'),
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of project files, for editors',
    load: () => import('./commands/project/schema.ts'),
  },
  {
    name: 'version',
    summary: 'print the version',
    load: () => import('./commands/version.ts'),
  },
  {
    name: 'help',
    summary: 'explain sluice, or one command',
    load: () => import('./commands/help.ts'),
  },
]
