/** What an alert watches for and whom it tells, as users write it. */
import { z } from 'zod'
import { fillSecrets, secretNames } from '../secret-references.ts'
import { duration } from './quantities.ts'
import { baseUrlFault, plainBaseUrl } from './http-texts.ts'
import { filledText, text } from './texts.ts'

/** All that an alert can watch for. */
export const ALERT_CONDITIONS = [
  'run-failed',
  'rows-failed',
  'held',
  'slow',
  'silent',
  'certificate-expiring',
  'auth-failing',
] as const
export type AlertConditionName = (typeof ALERT_CONDITIONS)[number]

const SHARE_WANTED = 'a share from 0 to 1, such as 0.01'
const share = z
  .number({ error: SHARE_WANTED })
  .min(0, SHARE_WANTED)
  .max(1, SHARE_WANTED)
  .describe('Of the rows of a run: tells if so many or more were not delivered; 0: any row.')

const plainCondition = z.enum(['run-failed', 'held', 'certificate-expiring', 'auth-failing'])
const CONDITION_WANTED =
  'one of `run-failed`, `rows-failed: { share: 0.01 }`, `held`, `slow: { longerThan: 1h }`, ' +
  '`silent: { noSuccessFor: 1d }`, `certificate-expiring`, `auth-failing`'

const condition = z.union(
  [
    plainCondition,
    z.strictObject({ 'rows-failed': z.strictObject({ share }) }),
    z.strictObject({
      slow: z.strictObject({ longerThan: duration.describe('How long a run may last.') }),
    }),
    z.strictObject({
      silent: z.strictObject({
        noSuccessFor: duration.describe('How long a sync may go without a run that ends as success.'),
      }),
    }),
  ],
  { error: CONDITION_WANTED },
)

/** A condition as a map or a word, by its name. */
export type AlertCondition = z.output<typeof condition>

export function conditionName(of: AlertCondition): AlertConditionName {
  if (typeof of === 'string') return of
  if ('slow' in of) return 'slow'
  return 'silent' in of ? 'silent' : 'rows-failed'
}

const SECRET_PART = 'secret'

const SECRET_WANTED = 'a secret, as ${secret:NAME}, so that its value is stored nowhere'
const URL_EXAMPLE = 'https://hooks.slack.com/services/${secret:slack-path}'

/** What is wrong with the URL that a notice is posted to; its host has to be plain, since grants go by it. */
function postUrlFault(value: string): string | null {
  if (/^\$\{secret:[^}]*\}/.test(value))
    return `a URL whose host stands there as it is, and a secret in its path alone, such as ${URL_EXAMPLE}`
  const [path = '', query] = value.split(/\?(.*)/s)
  const fault = baseUrlFault(path)
  if (fault !== null) return fault
  return query?.includes('#') === true ? 'a URL without `#`, of which nothing is ever sent' : null
}

const postUrl = text
  .check(({ issues, value }) => {
    const message = postUrlFault(value)
    if (message !== null) issues.push({ code: 'custom', message, input: value })
  })
  .overwrite(value => {
    const [path = '', query] = value.trim().split(/\?(.*)/s)
    return query === undefined ? plainBaseUrl(path) : `${plainBaseUrl(path)}?${query}`
  })

/** An SMTP URL as its parts. User and password may be secrets, so they are taken out before it is parsed. */
export interface SmtpAddress {
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** With its references to secrets; null without one. */
  readonly user: string | null
  readonly password: string | null
}

/** Null for a text that is no SMTP URL. */
export function smtpAddress(value: string): SmtpAddress | null {
  const [, scheme, , user, password, place] =
    /^(smtps?):\/\/((\$\{secret:[^}]*\}|[^\s:@/]*)(?::(\$\{secret:[^}]*\}|[^\s@/]*))?@)?([^\s@/?#]+)\/?$/.exec(
      value.trim(),
    ) ?? []
  if (scheme === undefined || place === undefined) return null
  const url = URL.parse(`http://${place}`)
  if (url === null || url.hostname === '' || url.pathname !== '/') return null
  const secure = scheme === 'smtps'
  // A port of 80 is left out by `URL`, and is none of SMTP.
  const port = url.port === '' ? (secure ? SMTPS_PORT : SUBMISSION_PORT) : Number(url.port)
  return { secure, host: url.hostname, port, user: plain(user), password: plain(password) }
}

const SMTPS_PORT = 465
const SUBMISSION_PORT = 587

function plain(part: string | undefined): string | null {
  if (part === undefined || part === '') return null
  if (secretNames(part).length > 0) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const SMTP_WANTED =
  'a URL such as smtps://user:${secret:smtp-password}@mail.example.com:465, or smtp://… with port 587 and STARTTLS'

const smtpUrl = text
  .check(({ issues, value }) => {
    const address = smtpAddress(value)
    const message =
      address === null
        ? SMTP_WANTED
        : address.password !== null && secretNames(address.password).length === 0
          ? `the password as ${SECRET_WANTED}: ${SMTP_WANTED}`
          : null
    if (message !== null) issues.push({ code: 'custom', message, input: value })
  })
  .describe('The mail server, as smtps://user:${secret:NAME}@host:port.')

const MAILBOX_WANTED = 'an address such as data@example.com, or `Data team <data@example.com>`'
/** An address, or one behind a name. No line break gets in here, which would begin another header. */
const mailbox = text.regex(
  /^(?:[^\s<>"@,;:\\]+@[^\s<>"@,;:\\]+|[^<>"\p{Cc}\u2028\u2029,;:@\\]{1,100}<[^\s<>"@,;:\\]+@[^\s<>"@,;:\\]+>)$/u,
  MAILBOX_WANTED,
)

const webhook = z.strictObject({
  url: postUrl.describe(
    'Notices are posted there, signed after Standard Webhooks; its path may hold ${secret:NAME}.',
  ),
  secret: filledText
    .refine(value => secretNames(value).length > 0, SECRET_WANTED)
    .describe('What notices are signed with, as ${secret:NAME}: `whsec_` and Base64.'),
})
const slack = z.strictObject({
  url: postUrl.describe(`An incoming webhook of Slack, such as ${URL_EXAMPLE}.`),
})
const email = z.strictObject({
  smtp: smtpUrl,
  from: mailbox.describe('The sender.'),
  to: z
    .union([mailbox, z.array(mailbox).min(1, 'at least one address').max(50, 'at most 50 addresses')], {
      error: `${MAILBOX_WANTED}; or a list of them`,
    })
    .describe('The receivers.'),
})

const TARGET_WANTED =
  'one of `webhook: { url, secret }`, `slack: { url }`, `email: { smtp, from, to }`; a second alert tells a second place'
const target = z.union([z.strictObject({ webhook }), z.strictObject({ slack }), z.strictObject({ email })], {
  error: TARGET_WANTED,
})
export type AlertTarget = z.output<typeof target>

/** The fields of an alert beside kind, name and title. `names` is the schema of a list of syncs. */
export function alertFields<N extends z.ZodType>(name: N) {
  return {
    syncs: z
      .union([z.literal('all'), z.array(name).min(1, 'at least one sync')], {
        error: '`all`, or a list of syncs such as [customers, orders]',
      })
      .describe('The syncs that it watches: a list of names, or all.'),
    when: z
      .array(condition)
      .min(1, `at least one condition: ${CONDITION_WANTED}`)
      .refine(
        all => new Set(all.map(conditionName)).size === all.length,
        'each condition only once; a second alert may have another limit',
      )
      .describe('What it tells about: each time that a condition begins, and when it is over.'),
    to: target.describe('Whom it tells.'),
    allowPrivateNetwork: z
      .boolean('true or false')
      .optional()
      .describe(
        'false: no notice goes to private, loopback or link-local addresses. Default true, but false where others write resources.',
      ),
  }
}

/** A URL of a target as people may see it: its secrets, and what stands behind its host, are left out. */
export function shownTarget(of: AlertTarget): string {
  if ('email' in of) return [of.email.to].flat().join(', ')
  const { url } = 'slack' in of ? of.slack : of.webhook
  return URL.parse(fillSecrets(url, () => SECRET_PART))?.origin ?? url
}
