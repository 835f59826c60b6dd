/**
 * The process of one query of a user. It gets its task as a line on standard input, writes its answer as a
 * line to standard output, and is ended by the process that started it. If standard input ends before, that
 * process is gone, and this one ends itself.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'
import type { Task } from '../messages.ts'

// The process that started this one names the folder in which Node keeps compiled code. This process is
// killed, so it writes the folder itself, as long as it has not seen the query. Without news it writes
// nothing.
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
// DuckDB may be at work in threads of its own, so that an orderly exit could take long.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'))

async function work(task: Task): Promise<void> {
  await answerTo(task, answer => process.stdout.write(`${JSON.stringify(answer)}\n`))
}
