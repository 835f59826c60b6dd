/** The JSON that commands for operators print: what Kafka needs, and what `sluice doctor` found. */
import { z } from 'zod'

const count = z.int().min(0)

/** What a project needs on Kafka, for those who make topics and grant rights by hand. */
export const topicsView = z.object({
  prefix: z.string(),
  topics: z.array(
    z.object({
      topic: z.string(),
      partitions: count,
      /** Null: as the broker has it. */
      replication: count.nullable(),
      settings: z.record(z.string(), z.string()),
    }),
  ),
  rights: z.array(
    z.object({
      role: z.enum(['detector', 'renderer', 'delivery', 'command', 'console']),
      resource: z.enum(['topic', 'group', 'transactional-id']),
      name: z.string(),
      /** Prefixed: for all names that begin with this one. */
      pattern: z.enum(['literal', 'prefixed']),
      operations: z.array(z.string()),
    }),
  ),
})

/** What `sluice doctor` found. `ok` is false if something is in the way. */
export const doctorView = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({
      check: z.string(),
      status: z.enum(['ok', 'warning', 'problem', 'unreachable']),
      found: z.string(),
      /** What to change. */
      advice: z.string().nullable(),
    }),
  ),
})

export type TopicsView = z.output<typeof topicsView>
export type DoctorView = z.output<typeof doctorView>
