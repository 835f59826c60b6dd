/** The thread that renders for another one. It renders only as many requests as that one asks for. */
import { once } from 'node:events'
import { failureOf } from '@sluice/contracts/errors'
import { parentPort, type MessagePort } from 'node:worker_threads'
import { renderChanges, type PlacedChange } from '../../rendering/render-changes.ts'
import { unpacked, type Question, type Reply } from './messages.ts'

const port = portOf(parentPort)
const say = (reply: Reply): void => port.postMessage(reply)

function portOf(parent: MessagePort | null): MessagePort {
  if (parent === null) throw new Error('this file is the start of a thread')
  return parent
}

async function asked(): Promise<Question> {
  const [question] = (await once(port, 'message')) as [Question]
  return question
}

async function* wanted(): AsyncGenerator<readonly PlacedChange[]> {
  for (;;) {
    say({ kind: 'wanting' })
    const question = await asked()
    if (question.kind !== 'changes' || question.changes === null) return
    yield question.changes.map(unpacked)
  }
}

for (;;) {
  const question = await asked()
  if (question.kind !== 'task') throw new Error('a task was expected')
  const { definition, context, hash } = question.task
  try {
    for await (const { op, rendered } of renderChanges(wanted(), definition, context, hash)) {
      say({ kind: 'rendered', op, rendered })
      await asked()
    }
    say({ kind: 'done' })
  } catch (error) {
    say({ kind: 'failed', failure: failureOf(error) })
  }
}
