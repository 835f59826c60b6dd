/**
 * The process of one query of a user. It gets its task as a line on standard input, writes its answer as a
 * line to standard output, and is ended by the process that started it. If standard input ends before, that
 * process is gone, and this one ends itself.
 */
import type { Task } from '../messages.ts'
import { answerTo } from './run-query.ts'

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
  process.stdout.write(`${JSON.stringify(await answerTo(task))}\n`)
}
