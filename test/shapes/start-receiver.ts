/** Starts the receiver of a shape in a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FromReceiver, ToReceiver } from './receiver.ts'
import type { Verdict } from './row-judge.ts'

export interface ShapeReceiver extends AsyncDisposable {
  readonly url: string
  /** Forgets what came, and judges from now on by another pass. No request may be under way. */
  begin(pass: number): Promise<void>
  judge(): Promise<Verdict>
}

/** Resolves once it listens. Disposing ends its process and waits until it is gone. */
export async function startShapeReceiver(name: string, scale: number): Promise<ShapeReceiver> {
  const child = fork(fileURLToPath(new URL('receiver.ts', import.meta.url)), [name, String(scale)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const gone = once(child, 'exit')
  const answered = async <Kind extends FromReceiver['kind']>(
    kind: Kind,
  ): Promise<Extract<FromReceiver, { kind: Kind }>> => {
    const [message]: (FromReceiver | number | null)[] = await Promise.race([once(child, 'message'), gone])
    if (typeof message !== 'object' || message?.kind !== kind)
      throw new Error(`the receiver of ${name} ended, or said something else than ${kind}`)
    return message as Extract<FromReceiver, { kind: Kind }>
  }
  const ask = async <Kind extends FromReceiver['kind']>(
    message: ToReceiver,
    kind: Kind,
  ): Promise<Extract<FromReceiver, { kind: Kind }>> => {
    const answer = answered(kind)
    child.send(message)
    return answer
  }
  const { port } = await answered('listening')
  return {
    url: `http://127.0.0.1:${port}`,
    begin: async pass => void (await ask({ kind: 'begin', pass }, 'begun')),
    judge: async () => (await ask({ kind: 'judge' }, 'judged')).verdict,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}
