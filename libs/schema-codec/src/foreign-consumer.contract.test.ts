/**
 * Other programs can read the topics: a foreign client reads records from a real Kafka, with schemas from a
 * real registry.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import { Decimal, JsonText, type Column, type Row } from '@sluice/contracts/values'
import { beforeAll, describe, expect, inject, it, type TestContext } from 'vitest'
import { cached, ensurePrograms } from '../../../deploy/local/install.ts'
import { createRegistryCodec } from './adapters/registry.ts'
import { change } from '../test/fixture.ts'
import { RECORD_SAMPLES } from '../test/record-samples.ts'

const run = promisify(execFile)
const CONSUMER = fileURLToPath(new URL('../test/foreign_consumer.py', import.meta.url))
const CLIENT = 'confluent-kafka[avro]==2.16.1'

/** The path of a Python with the client, in an environment of its own that is kept between runs. */
async function pythonWithClient(): Promise<string> {
  const [python = 'python3'] = await ensurePrograms([{ command: 'python3', debianPackage: 'python3-venv' }])
  const folder = await cached('python-confluent-kafka-2.16.1', async draft => {
    const makeEnvironment = (): Promise<unknown> => run(python, ['-m', 'venv', '--clear', draft])
    // Debian's Python comes without the module that makes environments.
    await makeEnvironment().catch(async () => {
      await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'python3-venv'])
      await makeEnvironment()
    })
    await run(join(draft, 'bin/python'), [
      '-m',
      'pip',
      'install',
      '-q',
      '--disable-pip-version-check',
      CLIENT,
    ])
  })
  return join(folder, 'bin/python')
}

const brokers = inject('kafkaBrokers')
const registryUrl = inject('registryUrl')
const { signal } = new AbortController()

describe.skipIf(brokers === null || registryUrl === null)('a consumer that is not ours', () => {
  let python: string | undefined
  let topics = 0

  beforeAll(async () => {
    python = await pythonWithClient().catch((error: unknown) => {
      if (process.env['CI'] === 'true') throw error
      process.stderr.write(`skipping what a Python client reads, which cannot be had: ${String(error)}\n`)
      return undefined
    })
  })

  /**
   * Writes records, each with its schema, all under one subject. Resolves to the records that the consumer
   * read.
   */
  async function readByOthers(
    context: TestContext,
    records: readonly (readonly [AvroRecordSchema, object])[],
    options: { readonly asLatest: boolean } = { asLatest: false },
  ): Promise<unknown> {
    context.skip(python === undefined, 'no Python client')
    const topic = `foreign-${Date.now().toString(36)}-${(topics += 1)}`
    await using log = createKafkaLog({ brokers: (brokers ?? '').split(','), clientId: 'test' })
    await using codec = createRegistryCodec({ url: registryUrl ?? '' })
    await log.ensureTopics([{ topic, partitions: 1, cleanup: 'delete' }], { signal })
    for (const [schema, value] of records) {
      const encoder = await codec.encoder(`${topic}-${schema.name}`, schema, { signal })
      const record = { key: Buffer.from('key'), value: encoder.encode(value) }
      await log.append({ topic, partition: 0 }, [record], { signal })
    }
    const reader = options.asLatest ? [`${topic}-Change`] : []
    const args = [CONSUMER, brokers ?? '', registryUrl ?? '', topic, String(records.length), ...reader]
    const { stdout } = await run(python ?? '', args)
    return JSON.parse(stdout) as unknown
  }

  it('reads a row with columns of every type', async context => {
    const columns: readonly Column[] = [
      { name: 'boolean', type: { kind: 'boolean' } },
      { name: 'integer', type: { kind: 'integer' } },
      { name: 'long', type: { kind: 'long' } },
      { name: 'float', type: { kind: 'float' } },
      { name: 'double', type: { kind: 'double' } },
      { name: 'First Name', type: { kind: 'text' } },
      { name: 'bytes', type: { kind: 'bytes' } },
      { name: 'uuid', type: { kind: 'uuid' } },
      { name: 'date', type: { kind: 'date' } },
      { name: 'time', type: { kind: 'time' } },
      { name: 'timestamp', type: { kind: 'timestamp', zone: false } },
      { name: 'zoned', type: { kind: 'timestamp', zone: true } },
      { name: 'interval', type: { kind: 'interval' } },
      { name: 'json', type: { kind: 'json' } },
      { name: 'price', type: { kind: 'decimal', precision: 10, scale: 2 } },
      { name: 'huge', type: { kind: 'decimal', precision: 38, scale: 0 } },
      { name: 'list', type: { kind: 'list', of: { kind: 'long' } } },
      { name: 'struct', type: { kind: 'struct', fields: [{ name: '__proto__', type: { kind: 'text' } }] } },
      { name: 'nothing', type: { kind: 'text' } },
    ]
    const row: Row = {
      boolean: true,
      integer: -5,
      long: 2n ** 62n + 1n,
      float: 0.5,
      double: Number.NaN,
      'First Name': 'é\0😀 \ud800',
      bytes: new Uint8Array([0, 255]),
      uuid: '123e4567-e89b-12d3-a456-426614174000',
      date: '2024-02-29',
      time: '12:34:56.000001',
      timestamp: '1815-06-18T11:35:00.000001',
      zoned: '9999-12-31T23:59:59.999999Z',
      interval: 'P1DT2H',
      json: new JsonText('{"a": 1.10}'),
      price: new Decimal('-12.50'),
      huge: 10n ** 38n - 1n,
      list: [1, null, -1],
      struct: Object.fromEntries([['__proto__', 'x']]),
      nothing: null,
    }
    const [read] = [await readByOthers(context, [[changeSchema(columns), change(row)]])].flat()
    expect(read).toMatchObject({
      op: 'settled',
      beforeState: 'existence_uncertain',
      before: null,
      after: {
        boolean: true,
        integer: -5,
        long: { int: String(2n ** 62n + 1n) },
        float: 0.5,
        double: { float: 'nan' },
        First_x20_Name: 'é\0😀 \ufffd',
        bytes: { bytes: '00ff' },
        uuid: { UUID: '123e4567-e89b-12d3-a456-426614174000' },
        date: { date: '2024-02-29' },
        time: { time: '12:34:56.000001' },
        timestamp: { datetime: '1815-06-18T11:35:00.000001' },
        zoned: { datetime: '9999-12-31T23:59:59.999999+00:00' },
        interval: 'P1DT2H',
        json: '{"a": 1.10}',
        price: { Decimal: '-12.50' },
        huge: { Decimal: String(10n ** 38n - 1n) },
        list: [1, null, -1],
        struct: { _x5f__proto__: 'x' },
        nothing: null,
      },
    })
  })

  it('reads records of every kind', async context => {
    const kinds = Object.entries(SCHEMAS)
    const samples = new Map<string, object>(Object.entries(RECORD_SAMPLES))
    const read = await readByOthers(
      context,
      kinds.map(([kind, schema]) => [schema, samples.get(kind) ?? {}] as const),
    )
    const names = kinds.map(([, schema]) => schema.fields.map(({ name }) => name))
    expect(read).toEqual(names.map(fields => objectWith(fields)))
  })

  it('reads records from before and after a column came, with the latest schema', async context => {
    const id: Column = { name: 'id', type: { kind: 'integer' } }
    const older = changeSchema([id, { name: 'gone', type: { kind: 'text' } }])
    const newer = changeSchema([
      { name: 'city', type: { kind: 'text' } },
      { ...id, type: { kind: 'long' } },
    ])
    const records = [
      [older, change({ id: 1, gone: 'x' })],
      [newer, change({ city: 'Rome', id: 2 })],
    ] as const
    const read = await readByOthers(context, records, { asLatest: true })
    expect(read).toMatchObject([{ after: { id: 1, city: null } }, { after: { id: 2, city: 'Rome' } }])
  })
})

function objectWith(names: readonly string[]): unknown {
  return Object.fromEntries(names.map((name): [string, unknown] => [name, expect.toSatisfy(() => true)]))
}
