/** The thread that works on documents for the main thread: one task at a time. */
import { parentPort } from 'node:worker_threads'
import { failureOf } from '@sluice/contracts/errors'
import { checkDocuments } from '@sluice/project/check-documents'
import { documentsHere, specsOf } from './document-work.ts'
import { packed, type Reply, type Task } from './messages.ts'

/** This signal never aborts: the asking thread ends this thread when a task takes too long. */
const { signal } = new AbortController()

async function replyTo(task: Task): Promise<Reply> {
  try {
    if (task.kind === 'plan')
      return { kind: 'planned', plan: await documentsHere.plan(task.stored, task.project, signal) }
    const { documents, stored, dir } = task
    const checked = await checkDocuments(documents, { stored: specsOf(stored.values()), dir, signal })
    const linesOf = (resource: number, field: string): number =>
      (checked.resources[resource]?.texts.get(field) ?? '').split('\n').length
    return { kind: 'checked', checked: packed(checked, linesOf) }
  } catch (error) {
    return { kind: 'failed', failure: failureOf(error) }
  }
}

parentPort?.on('message', (task: Task) => {
  void replyTo(task).then(reply => parentPort?.postMessage(reply))
})
