// A small API to try things with: it prints every request and answers 200. Start it with `node receiver.mjs`;
// PORT chooses another port. With STATUS=500 it fails, but for /alerts.
import { createServer } from 'node:http'

const port = Number(process.env.PORT ?? 8080)
const status = Number(process.env.STATUS ?? 200)

createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  console.log(`${request.method} ${request.url}`)
  if (body !== '') console.log(`  ${body.trim().replaceAll('\n', '\n  ')}`)
  response.statusCode = request.url === '/alerts' ? 200 : status
  response.setHeader('content-type', 'application/json')
  response.end(`{"ok":${response.statusCode === 200}}\n`)
}).listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}`))
