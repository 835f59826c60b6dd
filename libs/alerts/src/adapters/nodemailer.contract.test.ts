/** Mails to a real SMTP server, with and without TLS. */
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { makeCertificate } from '@sluice/testkit/make-certificates'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import type { Mail, MailServer } from '../port.ts'
import { createMailSender } from './nodemailer.ts'

interface Received {
  readonly from: string
  readonly to: readonly string[]
  readonly source: string
  readonly user: string | null
  readonly secure: boolean
}

class MailBox implements AsyncDisposable {
  readonly received: Received[] = []
  readonly #server: SMTPServer
  port = 0

  constructor(options: SMTPServerOptions = {}) {
    this.#server = new SMTPServer({
      ...{ authOptional: true, disabledCommands: ['STARTTLS'] },
      onAuth: ({ username, password }, _session, done) =>
        password === 'p4ss' ? done(null, { user: username }) : done(new Error('no such login')),
      onData: (stream, session, done) => {
        const { mailFrom, rcptTo } = session.envelope
        void text(stream).then(source => {
          this.received.push({
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            ...{ source, user: session.user ?? null, secure: session.secure },
          })
          done()
        })
      },
      ...options,
    })
    // A client that does not trust the certificate hangs up.
    this.#server.on('error', () => undefined)
  }

  async open(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    this.port = (this.#server.server.address() as AddressInfo).port
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>(resolve => this.#server.close(resolve))
  }
}

const boxes: MailBox[] = []
afterEach(async () => {
  for (const box of boxes.splice(0)) await box[Symbol.asyncDispose]()
})

async function box(options: SMTPServerOptions = {}): Promise<MailBox> {
  const opened = await new MailBox(options).open()
  boxes.push(opened)
  return opened
}

const { signal } = new AbortController()
const sender = createMailSender()

function mailTo({ port }: MailBox, fields: Partial<Mail> = {}, server: Partial<MailServer> = {}): Mail {
  return {
    server: {
      ...{
        host: '127.0.0.1',
        port,
        secure: false,
        requireTls: false,
        login: null,
        allowPrivateNetwork: true,
      },
      ...server,
    },
    ...{ from: 'Sluice <sluice@example.com>', to: ['a@example.com', 'B <b@example.com>'] },
    ...{ subject: 'Grüße: 4 rows', text: 'Hello äöü\n', html: '<p>Hello äöü</p>', id: 'msg_1' },
    ...fields,
  }
}

/** The head of a mail, with folded lines joined. */
const headOf = (source: string): string => (source.split('\r\n\r\n')[0] ?? '').replaceAll(/\r\n[ \t]+/g, ' ')

describe('a mail', () => {
  it('reaches all receivers, as text and as a page, and says who sent it', async () => {
    const mails = await box()
    expect(await sender.send(mailTo(mails), { signal })).toBeNull()
    const [mail] = mails.received
    expect([mail?.from, mail?.to]).toEqual(['sluice@example.com', ['a@example.com', 'b@example.com']])
    const head = headOf(mail?.source ?? '')
    expect(head).toMatch(/^Content-Type: multipart\/alternative;/m)
    expect(head).toMatch(/^Message-ID: <msg_1@sluice>$/m)
    expect(head).toMatch(/^Auto-Submitted: auto-generated$/m)
    expect(head).toMatch(/^Subject: =\?UTF-8\?/m)
    expect(mail?.source).toContain('Content-Type: text/plain; charset=utf-8')
    expect(mail?.source).toContain('Content-Type: text/html; charset=utf-8')
  })

  it('gets no other header from a subject, and no other receiver', async () => {
    const mails = await box()
    const subject = 'x\r\nBcc: c@example.com\r\n\r\nbody'
    expect(await sender.send(mailTo(mails, { subject }), { signal })).toBeNull()
    const [mail] = mails.received
    expect(headOf(mail?.source ?? '')).not.toMatch(/^Bcc:/im)
    expect(mail?.to).toHaveLength(2)
  })

  it('logs in, and is not sent where the login is refused', async () => {
    const mails = await box()
    const login = { user: 'me', password: 'p4ss' }
    expect(await sender.send(mailTo(mails, {}, { login }), { signal })).toBeNull()
    expect(mails.received[0]?.user).toBe('me')
    const wrong = mailTo(mails, {}, { login: { ...login, password: 'other' } })
    expect(await sender.send(wrong, { signal })).toMatch(/Invalid login/)
    expect(mails.received).toHaveLength(1)
  })

  it('that one receiver does not get is not sent', async () => {
    const onRcptTo: SMTPServerOptions['onRcptTo'] = ({ address }, _session, done) =>
      address === 'b@example.com' ? done(new Error('who is that?')) : done()
    const mails = await box({ onRcptTo })
    expect(await sender.send(mailTo(mails), { signal })).toBe('the mail server refused b@example.com')
  })
})

describe('TLS', () => {
  const { cert, key } = makeCertificate()
  it('is wanted before a password goes out, and its certificate is checked', async () => {
    const login = { user: 'me', password: 'p4ss' }
    const plain = await box()
    const wanted = mailTo(plain, {}, { requireTls: true, login })
    expect(await sender.send(wanted, { signal })).toMatch(/STARTTLS|TLS/)
    const unknown = await box({ disabledCommands: [], cert, key })
    expect(await sender.send(mailTo(unknown, {}, { requireTls: true, login }), { signal })).toMatch(
      /self-signed/,
    )
    const secure = await box({ secure: true, cert, key })
    expect(await sender.send(mailTo(secure, {}, { secure: true, login }), { signal })).toMatch(/self-signed/)
    expect([plain, unknown, secure].flatMap(({ received }) => received)).toEqual([])
  })
})

describe('a server', () => {
  it('that is not there, or says nothing, is told as the reason', async () => {
    const gone = await box()
    const mail = mailTo(gone)
    await boxes.pop()?.[Symbol.asyncDispose]()
    expect(await sender.send(mail, { signal })).toMatch(/ECONNREFUSED/)
    const mute = await box({ onConnect: () => undefined })
    const impatient = createMailSender({ timeoutMs: 50 })
    expect(await impatient.send(mailTo(mute), { signal })).toMatch(/did not answer|timeout/i)
  })

  it('in a private network gets no connection where that is not permitted', async () => {
    const mails = await box()
    for (const host of ['127.0.0.1', 'localhost', '[::1]'])
      expect(await sender.send(mailTo(mails, {}, { host, allowPrivateNetwork: false }), { signal })).toMatch(
        /not (a )?public/,
      )
    expect(mails.received).toEqual([])
  })
})

it('an abort ends the wait, with its reason', async () => {
  const mute = await box({ onConnect: () => undefined })
  const giving = new AbortController()
  const sending = sender.send(mailTo(mute), { signal: giving.signal })
  giving.abort(new Error('the process ends'))
  await expect(sending).rejects.toThrow('the process ends')
})
