/** Runs a scripted API for the process that forked it (scripted-api-fork.ts), and ends with it. */
import { startScriptedApi, type RecordedRequest } from './scripted-api.ts'
import type { FromChild, ToChild } from './scripted-api-fork.ts'

let seen: RecordedRequest[] = []
const send = (message: FromChild) => {
  if (process.connected) process.send?.(message)
}
const flush = () => {
  if (seen.length === 0) return
  send({ kind: 'seen', requests: seen, figures: api.figures })
  seen = []
}

const api = await startScriptedApi({
  port: Number(process.argv[2] ?? 0),
  onRequest: request => {
    if (seen.length === 0) setImmediate(flush)
    seen.push(request)
  },
})

process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToChild) => {
  switch (message.kind) {
    case 'on':
      return api.on(
        message.match,
        message.answer,
        message.times === null ? undefined : { times: message.times },
      )
    case 'reset':
      seen = []
      return api.reset()
    case 'cut':
      return api.cutConnections(message.how)
    case 'mark':
      flush()
      return send({ kind: 'marked', mark: message.mark, figures: api.figures })
    default:
      return message satisfies never
  }
})
send({ kind: 'listening', port: api.port })
