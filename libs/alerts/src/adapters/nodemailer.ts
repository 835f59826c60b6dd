/** Sends e-mail through nodemailer. Each mail has a connection of its own, since alerts are rare. */
import { messageOf } from '@sluice/contracts/errors'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'
import type { Socket } from 'node:net'
import { publicSocket } from '@sluice/http-sender/egress-guard'
import { createTransport, type Transporter } from 'nodemailer'
import type { Mail, MailSender, MailServer } from '../port.ts'

const TIMEOUT_MS = 30_000
const GREETING_MS = 15_000

export function createMailSender(options: { readonly timeoutMs?: number } = {}): MailSender {
  const { timeoutMs = TIMEOUT_MS } = options
  return {
    async send(mail, { signal }) {
      signal.throwIfAborted()
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), timeoutMs)
      const transport = transportTo(mail.server, timeoutMs)
      try {
        return await send(transport, mail, AbortSignal.any([signal, late.signal]))
      } catch (error) {
        signal.throwIfAborted()
        if (late.signal.aborted) return `the mail server did not answer within ${timeoutMs / 1_000} s`
        return isTimeout(error) ? `the mail server did not answer: ${messageOf(error)}` : messageOf(error)
      } finally {
        clearTimeout(timer)
        transport.close()
      }
    },
  }
}

/** True for a time-out of nodemailer's own, which may come a moment before ours. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'timeoutType' in error
}

async function send(transport: Transporter, mail: Mail, signal: AbortSignal): Promise<string | null> {
  const { from, to, subject, text, html, id } = mail
  const sent: unknown = await transport.sendMail({
    ...{ from, to: [...to], subject, text, html, signal },
    messageId: `<${id}@sluice>`,
    // Auto-responders do not answer a mail with this header (RFC 3834).
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const rejected: unknown = typeof sent === 'object' && sent !== null ? Reflect.get(sent, 'rejected') : []
  if (!Array.isArray(rejected) || rejected.length === 0) return null
  return `the mail server refused ${rejected.map(String).join(', ')}`
}

function transportTo(server: MailServer, timeoutMs: number): Transporter {
  const { host, port, secure, requireTls, login, allowPrivateNetwork } = server
  return createTransport({
    ...{ host: withoutBrackets(host), port, secure, requireTLS: requireTls },
    ...(login === null ? {} : { auth: { user: login.user, pass: login.password } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: GREETING_MS,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(allowPrivateNetwork ? {} : { getSocket: guarded(withoutBrackets(host), port) }),
  })
}

type SocketGiven = (error: Error | null, given?: { connection: Socket }) => void

/** Opens the connection itself, so that nodemailer reaches only public addresses. */
function guarded(host: string, port: number) {
  return (_options: unknown, given: SocketGiven): void => {
    const socket = publicSocket()
    const refused = (error: Error): void => given(error)
    socket.once('error', refused)
    socket.once('connect', () => {
      socket.off('error', refused)
      given(null, { connection: socket })
    })
    socket.connect(port, host)
  }
}
