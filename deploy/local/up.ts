/**
 * Starts services for trying out, developing and testing. It prints lines for a shell that set the variables
 * with their addresses. With `--for-tests` it also prints the variables of the tests, and all lines have the
 * format of an env file. It keeps the services until it is interrupted. With a command behind `--`, it runs
 * that command with the variables set, and ends with its exit code.
 *
 *     node deploy/local/up.ts kafka registry redis
 *     node deploy/local/up.ts kafka registry redis -- npm test
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { isServiceName, SERVICE_NAMES, startServices } from './services.ts'

const USAGE = `usage: node deploy/local/up.ts [--native | --docker] [--durable-registry] [--for-tests] SERVICE... [-- COMMAND...]
services: ${SERVICE_NAMES.join(' ')}
`

async function main(argv: readonly string[]): Promise<number> {
  const split = argv.indexOf('--')
  const own = split === -1 ? argv : argv.slice(0, split)
  const command = split === -1 ? [] : argv.slice(split + 1)
  const { values, positionals } = parseArgs({
    args: [...own],
    allowPositionals: true,
    options: {
      native: { type: 'boolean' },
      docker: { type: 'boolean' },
      'durable-registry': { type: 'boolean' },
      'for-tests': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const unknown = positionals.filter(name => !isServiceName(name))
  if (values.help === true || positionals.length === 0 || unknown.length > 0) {
    if (unknown.length > 0) process.stderr.write(`no such service: ${unknown.join(', ')}\n`)
    process.stderr.write(USAGE)
    return values.help === true ? 0 : 2
  }
  const interrupted = Promise.race([
    once(process, 'SIGINT'),
    once(process, 'SIGTERM'),
    once(process, 'SIGHUP'),
  ])
  const engine = values.native === true ? 'native' : values.docker === true ? 'docker' : 'auto'
  await using services = await startServices(positionals.filter(isServiceName), {
    engine,
    durableRegistry: values['durable-registry'] ?? false,
  })
  for (const [name, value] of Object.entries(services.env)) {
    if (values['for-tests'] === true) process.stdout.write(`${name}=${value}\n`)
    else if (!name.startsWith('SLUICE_TEST_')) process.stdout.write(`export ${name}=${value}\n`)
    else if (Object.values(services.env).filter(other => other === value).length === 1)
      process.stdout.write(`# ${value}\n`)
  }
  const [program, ...args] = command
  if (program === undefined) {
    process.stderr.write('Ctrl-C ends them and removes their data.\n')
    const alive = setInterval(() => {}, 60_000)
    await interrupted
    clearInterval(alive)
    return 0
  }
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...services.env } })
  const exit = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : 1))
  const first = await Promise.race([exit, interrupted.then(() => null)])
  if (first !== null) return first
  child.kill('SIGTERM')
  await exit
  return 130
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
