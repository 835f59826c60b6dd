/**
 * `sluice service`. The launcher (`bin/sluice.mjs`) starts the service itself, in place of this process. So
 * this command has the help, and answers calls that the launcher does not take.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command } from '../command.ts'

const SERVICE_NAMES = ['change-detector', 'renderer', 'delivery', 'console'] as const

export const command: Command = {
  description:
    'Runs one service of a distributed Sluice until SIGTERM, on Kafka, a schema registry and Redis. Any number of each service may run. Variables configure it, and there are no options.',
  positionals: [{ name: 'NAME', required: true, choices: SERVICE_NAMES, help: SERVICE_NAMES.join(', ') }],
  options: {},
  anywhere: true,
  exits: {
    0: 'it was told to end, and all work under way is finished',
    1: 'it failed',
    2: 'the configuration is wrong',
    5: 'Kafka, the registry or Redis cannot be reached',
  },
  examples: [
    {
      command: 'SLUICE_KAFKA_BROKERS=kafka:9092 … sluice service delivery',
      does: 'sends requests, beside others of its kind',
    },
  ],
  run({ args }) {
    const [name = ''] = args.positionals
    const isKnown = SERVICE_NAMES.some(known => known === name)
    throw new SluiceError(
      'usage',
      isKnown
        ? `A service takes no options, and no project folder: call \`sluice service ${name}\`. Variables configure it.`
        : `There is no service \`${name}\`. The services are ${SERVICE_NAMES.join(', ')}.`,
    )
  },
}
