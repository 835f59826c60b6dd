/** The JSON of commands for operators: topics and rights on Kafka, and the checks of `doctor`. */
import { z } from 'zod'
import { count } from './views/run-parts.ts'

/** The topics and rights that a project needs on Kafka, for operators who make and grant them by hand. */
export const topicsView = z.object({
  prefix: z.string(),
  topics: z.array(
    z.object({
      topic: z.string(),
      partitions: count,
      /** Null stands for the default of the broker. */
      replication: count.nullable(),
      settings: z.record(z.string(), z.string()),
    }),
  ),
  rights: z.array(
    z.object({
      role: z.enum(['detector', 'renderer', 'delivery', 'command', 'console']),
      resource: z.enum(['topic', 'group', 'transactional-id']),
      name: z.string(),
      /** `prefixed`: the right is for all names that begin with `name`. */
      pattern: z.enum(['literal', 'prefixed']),
      operations: z.array(z.string()),
    }),
  ),
})

const check = z.object({
  check: z.string(),
  status: z.enum(['ok', 'warning', 'problem', 'unreachable']),
  found: z.string(),
  /** The change that mends it. */
  advice: z.string().nullable(),
})

/** The checks of `sluice doctor`. `ok` is false if one of them found a problem. */
export const doctorView = z.object({ ok: z.boolean(), checks: z.array(check) })

/** The answer of `sluice upgrade --check`. `ok` is false if one of the checks found a problem. */
export const upgradeView = z.object({
  ok: z.boolean(),
  /** The version of the command. */
  version: z.string(),
  /** The version that wrote last what is there. Null if that is not known, or nothing is there. */
  writtenBy: z.string().nullable(),
  checks: z.array(
    check.extend({
      /**
       * The effect of this version on the part: it stays as it is, it is built again, somebody has to do
       * something first, or this version cannot use it. Null if the check is not about a part, or could not
       * look.
       */
      effect: z.enum(['kept', 'rebuilt', 'by-hand', 'refused']).nullable(),
    }),
  ),
})

export type TopicsView = z.output<typeof topicsView>
export type DoctorView = z.output<typeof doctorView>
export type UpgradeView = z.output<typeof upgradeView>
