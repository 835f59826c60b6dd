/**
 * The source of type `kafka`. It reads a topic from its beginning to its end, and on what came meanwhile.
 * The newest row of each key is a row of the model. The source joins no group and commits no offset. Records
 * of transactions count once they are committed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import type { Column } from '@sluice/contracts/values'
import { createKafkaLog, readTopicNames } from '@sluice/message-log/adapters/kafka'
import type { Extract, Source } from '../port.ts'
import { assertNewFile, removeExtract } from './extract-file.ts'
import { kafkaAccess, type KafkaAccess } from './kafka/access.ts'
import { readTopic, topicOf } from './kafka/read-topic.ts'
import { sourceError, type SourceErrorContext } from './kafka/source-error.ts'
import type { PrivateNetworks } from './server/access.ts'
import { modelCalled } from './query/model-columns.ts'

/** The number of rows that `describe` reads for the columns. */
export const DESCRIBED_ROWS = 200

export interface KafkaSourceOptions {
  readonly spec: KafkaSourceSpec
  /** Called whenever a topic is read. Its errors pass through. */
  readonly secretFor: SecretFor
  readonly memoryBytes?: number
  readonly privateNetworks: PrivateNetworks
}

/** Makes a source of topics. Topics may be read concurrently, each with connections of its own. */
export function createKafkaSource(options: KafkaSourceOptions): Source {
  return new KafkaSource(options)
}

/**
 * Resolves with the names of the topics that the login may see. Rejects as a source does. `secretFor` is
 * called at once.
 */
export async function topicsOf(
  { spec, secretFor, privateNetworks }: KafkaSourceOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const access = kafkaAccess(spec, secretFor, privateNetworks)
  try {
    return await readTopicNames(access.log, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw sourceError(error, { name: spec.name, secrets: access.secrets })
  }
}

class KafkaSource implements Source {
  readonly #options: KafkaSourceOptions

  constructor(options: KafkaSourceOptions) {
    this.#options = options
  }

  /** Returns the columns of the latest rows. Earlier rows may have others. */
  async describe(model: ModelSpec, { signal }: { signal: AbortSignal }): Promise<readonly Column[]> {
    signal.throwIfAborted()
    if (model.topic === undefined && model.name === '') return await this.#connect(signal)
    const folder = await mkdtemp(join(tmpdir(), 'sluice-topic-'))
    try {
      const file = join(folder, 'rows.duckdb')
      return (await this.extract(model, { file, signal, sample: DESCRIBED_ROWS })).columns
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Checks that the brokers answer, for a source that no model reads. */
  async #connect(signal: AbortSignal): Promise<readonly Column[]> {
    const access = this.#access()
    try {
      await using log = createKafkaLog(access.log)
      await log.partitionsOf('sluice', { signal })
      return []
    } catch (error) {
      throw this.#translated(error, access, signal)
    }
  }

  async extract(
    model: ModelSpec,
    options: { file: string; signal: AbortSignal; sample?: number },
  ): Promise<Extract> {
    const { file, sample = null } = options
    options.signal.throwIfAborted()
    assertNewFile(file)
    const topic = topicOf(model)
    const { timeout } = this.#options.spec
    const late = timeout === undefined ? null : AbortSignal.timeout(timeout)
    const signal = late === null ? options.signal : AbortSignal.any([options.signal, late])
    const access = this.#access()
    try {
      await using log = createKafkaLog(access.log)
      const { registry } = access
      const { name: sourceName } = this.#options.spec
      const { memoryBytes } = this.#options
      const reading = { model, topic, file, sample, memoryBytes, sourceName, log, registry, signal }
      const { columns, rowCount, primaryKey } = await readTopic(reading)
      return { file, columns, rowCount, primaryKey }
    } catch (error) {
      await removeExtract(file)
      options.signal.throwIfAborted()
      if (late?.aborted === true) throw this.#tookTooLong(model, timeout ?? 0, error)
      throw this.#translated(error, access, signal, { model, file })
    }
  }

  #access(): KafkaAccess {
    const { spec, secretFor, privateNetworks } = this.#options
    return kafkaAccess(spec, secretFor, privateNetworks)
  }

  #tookTooLong({ name }: ModelSpec, timeoutMs: number, cause: unknown): SluiceError {
    const message = `Reading the topic of ${modelCalled(name)} took longer than the time-out of source ${this.#options.spec.name}, ${timeoutMs} ms.`
    return new SluiceError('query', message, { cause, retryable: true })
  }

  #translated(
    error: unknown,
    { secrets }: KafkaAccess,
    signal: AbortSignal,
    extract?: SourceErrorContext['extract'],
  ): unknown {
    signal.throwIfAborted()
    const { name } = this.#options.spec
    return sourceError(error, { name, secrets, ...(extract === undefined ? {} : { extract }) })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
