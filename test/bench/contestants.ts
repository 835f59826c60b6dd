/** The contestants of the benchmark, and what is reported of each. */
import type { Receiver } from './start-receiver.ts'
import type { Usage } from './usage.ts'

/** Rows on their way to the receiver: from a topic or from a CSV file. */
export interface Work {
  readonly rows: number
  /** Rows in a request. */
  readonly batch: number
  readonly receiver: Receiver
}

/** The resources that a contestant used for one work, by process. */
export interface Used {
  /** CPU seconds for this work, and the peak memory of the process. */
  readonly [process: string]: Usage
}

export interface Contestant {
  readonly name: string
  /** Its promise when parts fail, in a few words. */
  readonly guarantees: string
  /** Version, if it is software of others. */
  readonly version?: string
  /** Sends all rows. `round` keeps topics and folders of rounds apart. */
  send(work: Work, round: string): Promise<Used>
}

/** One work as the receiver saw it. */
export interface Figures {
  readonly rowsPerSecond: number
  readonly cpuSecondsPerMillionRows: number
  /** The peak of the largest process. */
  readonly peakRssMb: number
  readonly used: Used
  /** CPU time of the receiver, which has the same cores, in microseconds. */
  readonly receiverPerRequest: number
}

/** Times a contestant from the first request that arrives to the last. Rejects if rows are missing. */
export async function measure(contestant: Contestant, work: Work, round: string): Promise<Figures> {
  await work.receiver.reset()
  const used = await contestant.send(work, round)
  const { rows, requests, firstAt, lastAt, cpuSeconds: receiver } = await work.receiver.stats()
  if (rows !== work.rows || firstAt === null || lastAt === null)
    throw new Error(`${contestant.name}: ${rows} rows arrived, not ${work.rows}`)
  const usages = Object.values(used)
  const cpuSeconds = usages.reduce((sum, usage) => sum + usage.cpuSeconds, 0)
  return {
    // At least a millisecond, so that few rows do not divide by zero.
    rowsPerSecond: rows / (Math.max(1, lastAt - firstAt) / 1000),
    cpuSecondsPerMillionRows: (cpuSeconds / rows) * 1e6,
    peakRssMb: Math.max(...usages.map(usage => usage.peakRssMb)),
    used,
    receiverPerRequest: (receiver / requests) * 1e6,
  }
}
