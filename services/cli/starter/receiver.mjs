// A small API to try things with: it prints every request and answers 200. Start it with `node receiver.mjs`;
// PORT chooses another port. With STATUS=500 it fails, but for /alerts.
import { createServer } from 'node:http'

const port = Number(process.env.PORT ?? 8080)
const status = Number(process.env.STATUS ?? 200)

const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  console.log(`${request.method} ${request.url}`)
  if (body !== '') console.log(`  ${body.trim().replaceAll('\n', '\n  ')}`)
  response.statusCode = request.url === '/alerts' ? 200 : status
  response.setHeader('content-type', 'application/json')
  response.end(`{"ok":${response.statusCode === 200}}\n`)
})
server.on('error', ({ code, message }) => {
  console.error(
    code === 'EADDRINUSE'
      ? `Another program listens on port ${port}. Choose another one: PORT=8181 node receiver.mjs, and API_URL=http://127.0.0.1:8181 before sluice.`
      : message,
  )
  process.exit(1)
})
server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}`))
