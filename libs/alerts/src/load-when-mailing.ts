/** A sender of mail whose client is loaded with the first mail, since most processes send none. */
import type { MailSender } from './port.ts'

/** `load` is called once; if it fails, so does each mail. */
export function loadWhenMailing(load: () => Promise<MailSender>): MailSender {
  let loading: Promise<MailSender> | null = null
  return {
    async send(mail, options) {
      loading ??= load()
      return await (await loading).send(mail, options)
    },
  }
}
