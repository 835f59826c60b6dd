/** The thread that renders for another thread. It renders a request only when that thread asks for it. */
import { once } from 'node:events'
import { failureOf } from '@sluice/contracts/errors'
import { parentPort, type MessagePort } from 'node:worker_threads'
import { renderChanges, type PlacedChange } from '../../rendering/render-changes.ts'
import { unpacked, type Question, type Reply } from './messages.ts'

const port = portOf(parentPort)
const send = (reply: Reply): void => port.postMessage(reply)

function portOf(parent: MessagePort | null): MessagePort {
  if (parent === null) throw new Error('this file is the start of a thread')
  return parent
}

async function nextQuestion(): Promise<Question> {
  const [question] = (await once(port, 'message')) as [Question]
  return question
}

async function* receivedChanges(): AsyncGenerator<readonly PlacedChange[]> {
  for (;;) {
    send({ kind: 'wanting' })
    const question = await nextQuestion()
    if (question.kind !== 'changes' || question.changes === null) return
    yield question.changes.map(unpacked)
  }
}

for (;;) {
  const question = await nextQuestion()
  if (question.kind !== 'task') throw new Error('a task was expected')
  const { definition, context, hash } = question.task
  try {
    for await (const { op, rendered } of renderChanges(receivedChanges(), definition, context, hash)) {
      send({ kind: 'rendered', op, rendered })
      await nextQuestion()
    }
    send({ kind: 'done' })
  } catch (error) {
    send({ kind: 'failed', failure: failureOf(error) })
  }
}
