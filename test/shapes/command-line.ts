/** The command `sluice` as a shape starts it: a process for each run, or one process for all of them. */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { environmentOf, FLAGS } from '../../libs/runtime/bin/node-settings.mjs'
import { finished, type Finished } from '../e2e/project-folder.ts'
import type { PeakMemory } from './peak-memory.ts'
import type { FromRepeater, ToRepeater } from './repeat-runs.ts'

const SLUICE = fileURLToPath(new URL('../../services/cli/bin/sluice.mjs', import.meta.url))
const REPEATER = fileURLToPath(new URL('repeat-runs.ts', import.meta.url))

type Env = { readonly [name: string]: string }

export interface CommandLine extends AsyncDisposable {
  /** Runs one command line to its end; it is killed if the signal is aborted. */
  run(args: readonly string[], options: { readonly signal: AbortSignal }): Promise<Finished>
}

function fullEnv(env: Env): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env
  return environmentOf({ PATH, HOME, ...env })
}

/** A process for each command line, as users start it. */
export function processEach(env: Env, peaks: PeakMemory): CommandLine {
  return {
    run: async (args, { signal }) => {
      const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
      const child = spawn(process.execPath, [SLUICE, ...args], { env: fullEnv(env), stdio })
      peaks.watch('sluice', child.pid)
      return killedBy(signal, child, () => finished(child))
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** One process for all of them. */
export function oneProcess(env: Env, peaks: PeakMemory): CommandLine {
  const child = fork(REPEATER, { env: fullEnv(env), execArgv: [...FLAGS] })
  const gone = once(child, 'exit')
  peaks.watch('sluice', child.pid)
  const waiting = new Map<number, (finished: Finished) => void>()
  const end = (id: number, finished: Finished): void => {
    waiting.get(id)?.(finished)
    waiting.delete(id)
  }
  child.on('message', (message: FromRepeater) => end(message.id, message))
  child.once('exit', exitCode => {
    for (const id of [...waiting.keys()]) end(id, { exitCode, stdout: '', stderr: 'the process ended' })
  })
  let lastId = 0
  return {
    run: (argv, { signal }) =>
      killedBy(signal, child, () => {
        if (!child.connected)
          return Promise.resolve({ exitCode: child.exitCode, stdout: '', stderr: 'the process ended' })
        const id = (lastId += 1)
        const { promise, resolve } = Promise.withResolvers<Finished>()
        waiting.set(id, resolve)
        child.send({ id, argv } satisfies ToRepeater)
        return promise
      }),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function killedBy<T>(signal: AbortSignal, child: ChildProcess, work: () => Promise<T>): Promise<T> {
  const kill = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill)
  if (signal.aborted) kill()
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', kill)
  }
}
