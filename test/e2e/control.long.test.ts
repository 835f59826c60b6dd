/** Control through an API: that of a process that serves a folder, and that of a console on Kafka. */
import { openUp } from '@sluice/cli/compose'
import { projectCatalog } from '@sluice/control/catalog'
import { controlContract } from '@sluice/control/test/contract'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { loadProject } from '@sluice/project/load-project'
import { createLogger } from '@sluice/runtime/logger'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { ForeignRecords } from '@sluice/topics/foreign-records'
import { RecordIo } from '@sluice/topics/record-io'
import { describe } from 'vitest'
import { controlHarness } from './control.ts'
import { realServices, startDistributed, type Distributed } from './distributed.ts'

const TOKEN = 'a-token-that-writes'
const { signal } = new AbortController()

controlContract('a server', apiUrl =>
  controlHarness(apiUrl, async (dir, env, opening) => {
    const ending = new AbortController()
    const up = opening.use(
      await openUp({
        dir,
        env: { ...env, SLUICE_PORT: '0' },
        logger: createLogger({ name: 'test', level: 'silent' }),
        signal: ending.signal,
        tell: () => undefined,
      }),
    )
    opening.defer(() => {
      ending.abort(new Error('the test ends'))
      return up.ended
    })
    return { SLUICE_URL: up.url }
  }),
)

describe.skipIf(realServices() === null)('on Kafka', () => {
  controlContract('a console', apiUrl =>
    controlHarness(apiUrl, async (dir, env, opening) => {
      const services = opening.use(await startDistributed({ env }))
      const added = await services.add('console', { SLUICE_TOKEN: TOKEN })
      await publish(dir, env, services)
      return { SLUICE_URL: added.url, SLUICE_TOKEN: TOKEN }
    }),
  )
})

/** A console knows the resources that somebody has published. */
async function publish(
  dir: string,
  env: { readonly [name: string]: string },
  { env: reach, prefix }: Distributed,
): Promise<void> {
  const clientId = 'test'
  const brokers = (reach['SLUICE_KAFKA_BROKERS'] ?? '').split(',')
  await using log = createKafkaLog({ brokers, clientId })
  await using codec = createRegistryCodec({ url: reach['SLUICE_SCHEMA_REGISTRY_URL'] ?? '', clientId })
  const foreign = new ForeignRecords(() => undefined)
  const io = await RecordIo.open(codec, prefix, { signatures: null, foreign, signal })
  await projectCatalog(await loadProject(dir, { env, signal })).publish({ log, io, prefix }, signal)
}
