import Bottleneck from 'bottleneck'
import type { Admission } from '../lease-lane.ts'

/** Admits jobs by a Bottleneck limiter, in order, at most `maxConcurrent` at a time. */
export function bottleneckAdmission(maxConcurrent: number): Admission {
  const limiter = new Bottleneck({ maxConcurrent })
  return { schedule: job => void limiter.schedule(job) }
}
