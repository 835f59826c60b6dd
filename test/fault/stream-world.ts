/** The services on which histories of streams are played, with a Kafka that stops for them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startServices, type LocalService } from '../../deploy/local/services.ts'

export type StreamProfile = 'embedded' | 'distributed'

/** What a history is played on. */
export interface StreamWorld {
  readonly profile: StreamProfile
  /** The URL of a PostgreSQL. */
  readonly postgres: string
  /** The brokers that topics are written to. */
  readonly brokers: string
  /** Addresses of the services that the distributed profile uses. */
  readonly services: { readonly [variable: string]: string }
  /** Stops Kafka for so many milliseconds; null: others use it. */
  readonly outage: ((ms: number) => Promise<void>) | null
  /** How many times Kafka was stopped so far. */
  readonly outages: () => number
  /** Does something with Kafka that must not fail, while nobody stops it. */
  readonly whileKafkaIsThere: <T>(work: () => Promise<T>) => Promise<T>
  /** The file of the command. Default: the one that project folders have. */
  readonly program?: string
}

/** Starts services of its own. Several histories may be played on them at once. */
export async function ownWorld(
  profile: StreamProfile,
  program?: string,
): Promise<AsyncDisposable & { readonly world: StreamWorld }> {
  const local = await startServices(
    profile === 'embedded' ? ['kafka', 'postgres'] : ['kafka', 'postgres', 'registry', 'redis'],
  )
  const kafka = new StoppingKafka(local.get('kafka'))
  const world: StreamWorld = {
    profile,
    postgres: local.get('postgres').address,
    brokers: local.get('kafka').address,
    services: local.env,
    outage: ms => kafka.stopFor(ms),
    outages: () => kafka.stops,
    whileKafkaIsThere: work => kafka.use(work),
    ...(program === undefined ? {} : { program }),
  }
  return { world, [Symbol.asyncDispose]: () => local[Symbol.asyncDispose]() }
}

/** A Kafka that stops only while no test itself talks to it. */
class StoppingKafka {
  stops = 0
  readonly #kafka: LocalService
  readonly #used = new Set<Promise<unknown>>()
  #away: Promise<void> | null = null

  constructor(kafka: LocalService) {
    this.#kafka = kafka
  }

  async stopFor(ms: number): Promise<void> {
    while (this.#away !== null) await this.#away
    this.stops += 1
    this.#away = this.#stop(ms)
    await this.#away
  }

  async #stop(ms: number): Promise<void> {
    await Promise.allSettled(this.#used)
    await this.#kafka.stop()
    await sleep(ms)
    // A busy machine may not have it answer in time. Without Kafka no history could go on.
    while (!(await this.#isStarted()));
    this.#away = null
  }

  #isStarted(): Promise<boolean> {
    return this.#kafka.start().then(
      () => true,
      () => false,
    )
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    while (this.#away !== null) await this.#away
    const working = work()
    this.#used.add(working)
    try {
      return await working
    } finally {
      this.#used.delete(working)
    }
  }
}
