/** Sends e-mail, once. Trying again is up to the caller. */

export interface MailServer {
  readonly host: string
  readonly port: number
  /** True: TLS from the first byte. Otherwise STARTTLS, if the server has it. */
  readonly secure: boolean
  /** True: without TLS nothing is sent. */
  readonly requireTls: boolean
  readonly login: { readonly user: string; readonly password: string } | null
  /** False: no connection is opened to an address that is not public. */
  readonly allowPrivateNetwork: boolean
}

export interface Mail {
  readonly server: MailServer
  /** An address, or one behind a name, in one line. */
  readonly from: string
  readonly to: readonly string[]
  /** One line. */
  readonly subject: string
  readonly text: string
  readonly html: string
  /** The same for each try, so that a mail program shows a second one as the same mail. */
  readonly id: string
}

export interface MailSender {
  /**
   * Resolves with null once the server has taken the mail for all receivers, and with the reason otherwise.
   * It waits for at most half a minute. May be called concurrently. Rejects only with the signal's reason,
   * when aborted; the server may have taken the mail then.
   */
  send(mail: Mail, options: { signal: AbortSignal }): Promise<string | null>
}
