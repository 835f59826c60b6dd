import Bottleneck from 'bottleneck'
import type { Admission } from '../lease-lane.ts'

/** Admits jobs by a Bottleneck limiter, in order, at most `places` at a time. */
export function bottleneckAdmission(places: number): Admission {
  const limiter = new Bottleneck({ maxConcurrent: places })
  return { schedule: job => void limiter.schedule(job) }
}
