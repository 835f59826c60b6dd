// A small API to try things with: it prints every request and answers 200. Start it with `node receiver.mjs`;
// PORT chooses another port.
import { createServer } from 'node:http'

const port = Number(process.env.PORT ?? 8080)

createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  console.log(`${request.method} ${request.url}`)
  if (body !== '') console.log(`  ${body.trim().replaceAll('\n', '\n  ')}`)
  response.setHeader('content-type', 'application/json')
  response.end('{"ok":true}\n')
}).listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}`))
