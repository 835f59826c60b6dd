/**
 * The process of one query of a user. It reads its task as a line from standard input, and writes its answer
 * as a line to standard output. Then its parent process kills it. If standard input ends before that, the
 * parent is gone, and this process ends itself.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'
import type { Task } from '../messages.ts'

// The parent process names Node's folder of compiled code. Node writes to the folder at an orderly exit,
// which this process never has. So it writes now, before a query could change the code.
const [, , compiled] = process.argv
if (compiled !== undefined) enableCompileCache(compiled)
const { answerTo } = await import('./run-query.ts')
flushCompileCache()

let text = ''
process.stdin.setEncoding('utf8')
process.stdin.on('data', (piece: string) => {
  const isWhole = text.includes('\n')
  text += piece
  if (isWhole || !text.includes('\n')) return
  void work(JSON.parse(text) as Task)
})
// An orderly exit would wait for DuckDB's threads.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'))

async function work(task: Task): Promise<void> {
  await answerTo(task, answer => process.stdout.write(`${JSON.stringify(answer)}\n`))
}
