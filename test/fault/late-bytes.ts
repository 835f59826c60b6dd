/**
 * Whether bytes of a killed process arrive behind those of its successor: node test/fault/late-bytes.ts [N].
 * The judge reads a connection late, as a busy server does. It stamps when each request arrived and was
 * applied, by one clock. A process is killed once its request is on the way, and the next one finds that the
 * row has left the model.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createNetServer, type AddressInfo, type Socket } from 'node:net'
import { sleep } from '@sluice/flow/sleep'
import { peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder } from '../e2e/project-folder.ts'

const { signal } = new AbortController()
const HISTORIES = Number(process.argv[2] ?? 3)
/** How late the judge reads the connection of the process that is killed, after its successor has ended. */
const LATE_MS = 500

interface Stamp {
  readonly what: string
  readonly atMs: number
}

let late = 0
for (let history = 1; history <= HISTORIES; history += 1) {
  const rows = new Set<string>()
  const stamps: Stamp[] = []
  const startedMs = performance.now()
  const stamp = (what: string): void => void stamps.push({ what, atMs: performance.now() - startedMs })
  const answer = ({ method, url = '' }: IncomingMessage, response: ServerResponse): void => {
    const isThere = rows.has(url)
    if (method === 'DELETE') rows.delete(url)
    else rows.add(url)
    response.statusCode = method === 'DELETE' && !isThere ? 404 : 200
    stamp(`applied ${method ?? ''} ${url}: ${response.statusCode}`)
    response.end('{}')
  }
  const held: Socket[] = []
  let holds = true
  const http = createServer(answer)
  const read = (socket: Socket): void => {
    http.emit('connection', socket)
    socket.resume()
  }
  const server = createNetServer({ pauseOnConnect: true }, socket => {
    stamp('a connection opened')
    if (holds) held.push(socket)
    else read(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using project = await projectFolder({
    files: { 'project.yaml': peopleYaml({ sync: 'timeout: 1s' }), 'people.csv': peopleCsv('1,Ada') },
    env: { API_URL: `http://127.0.0.1:${port}` },
  })
  const first = project.start('run', SYNC)
  await once(server, 'connection')
  await sleep(100, { signal })
  first.kill('SIGKILL')
  await finished(first)
  stamp('the first process is dead')
  holds = false
  await project.write('people.csv', peopleCsv())
  await project.run(SYNC)
  stamp('its successor has ended')
  await sleep(LATE_MS, { signal })
  for (const socket of held) read(socket)
  await sleep(LATE_MS, { signal })
  const { view } = await project.run(SYNC)
  stamp(`another run: ${view.status} ${JSON.stringify(view.triggers.removed)}`)
  if (rows.size > 0) late += 1
  process.stdout.write(`history ${history}: ${[...rows].join(', ') || 'nothing'} is left at the API\n`)
  for (const { what, atMs } of stamps) process.stdout.write(`  ${atMs.toFixed(0).padStart(6)} ms  ${what}\n`)
  http.closeAllConnections()
  server.close()
}
process.stdout.write(`${late} of ${HISTORIES} histories left a row at the API that had left the model\n`)
