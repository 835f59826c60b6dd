/**
 * Requests of a life that was killed, which the API reads late: as late as whoever comes next allows, or once
 * the next run has ended if nobody asks (PROTOCOL.md §8).
 */
import type { ArriveUntil, LateSends, SendUnderWay } from '@sluice/delivery/run/maybe-sent'

/** Makes a request arrive, once its time has come. */
const ARRIVES_MS = 30

const NOT_WAITED_FOR: SendUnderWay = { finished: () => undefined, abandoned: () => undefined }

interface Late {
  readonly partition: string
  /** After so many ends of runs it arrives in any case. */
  left: number
  readonly arrive: () => Promise<unknown>
}

export class LateArrivals implements LateSends {
  /** The delay of the request that is handed to the sender next. */
  partition = ''
  #late: Late[] = []

  begin(partition: string): SendUnderWay {
    this.partition = partition
    return NOT_WAITED_FOR
  }

  ofPredecessor(partition: string): ArriveUntil {
    return () => {
      const [due, late] = partitioned(this.#late, each => each.partition === partition)
      this.#late = late
      for (const { arrive } of due) void arrive()
      return performance.now() + (due.length > 0 ? ARRIVES_MS : 0)
    }
  }

  /** A request is on its way, of a life that is killed. */
  add(partition: string, arrive: () => Promise<unknown>): void {
    this.#late.push({ partition, left: 2, arrive })
  }

  /** Resolves once what is due has arrived. */
  async runHasEnded(): Promise<void> {
    for (const late of this.#late) late.left -= 1
    const [due, late] = partitioned(this.#late, ({ left }) => left === 0)
    this.#late = late
    await Promise.all(due.map(({ arrive }) => arrive()))
  }
}

function partitioned(all: readonly Late[], isDue: (late: Late) => boolean): [Late[], Late[]] {
  return [all.filter(isDue), all.filter(late => !isDue(late))]
}
