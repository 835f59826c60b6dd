/** Sends e-mail, once. The caller decides on another attempt. */

export interface MailServer {
  readonly host: string
  readonly port: number
  /** True for TLS from the first byte. Otherwise the sender uses STARTTLS if the server has it. */
  readonly secure: boolean
  /** True to refuse a connection without TLS. */
  readonly requireTls: boolean
  readonly login: { readonly user: string; readonly password: string } | null
  /** False to refuse addresses that are not public. */
  readonly allowPrivateNetwork: boolean
}

export interface Mail {
  readonly server: MailServer
  /** One line with an address, or a name and an address. */
  readonly from: string
  readonly to: readonly string[]
  /** One line. */
  readonly subject: string
  readonly text: string
  readonly html: string
  /** The id is the same for each attempt, so that mail programs recognize a second one as the same mail. */
  readonly id: string
}

export interface MailSender {
  /**
   * Resolves with null once the server has taken the mail for all receivers, and with the reason otherwise.
   * It waits for at most half a minute. May be called concurrently. Rejects only when aborted, with the
   * signal's reason. The server may have taken the mail even then.
   */
  send(mail: Mail, options: { signal: AbortSignal }): Promise<string | null>
}
