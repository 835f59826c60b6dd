/** The conditions and targets of an alert, as users write them. */
import { z } from 'zod'
import { fillSecrets, secretNames } from '../secret-references.ts'
import { duration, filledText, text } from './plain-values.ts'
import { baseUrlFault, plainBaseUrl } from './http-texts.ts'

export const ALERT_CONDITIONS = [
  'run-failed',
  'rows-failed',
  'held',
  'slow',
  'silent',
  'lagging',
  'certificate-expiring',
  'auth-failing',
  'destination-failing',
] as const
export type AlertConditionName = (typeof ALERT_CONDITIONS)[number]

const SHARE_WANTED = 'a share from 0 to 1, such as 0.01'
const share = z
  .number({ error: SHARE_WANTED })
  .min(0, SHARE_WANTED)
  .max(1, SHARE_WANTED)
  .describe('Fires if at least this share of a run’s rows was not delivered; 0: any row.')

const plainCondition = z.enum([
  ...(['run-failed', 'held', 'certificate-expiring', 'auth-failing', 'destination-failing'] as const),
])
const CONDITION_WANTED =
  'one of `run-failed`, `rows-failed: { share: 0.01 }`, `held`, `slow: { longerThan: 1h }`, ' +
  '`silent: { noSuccessFor: 1d }`, `lagging: { above: 1m }`, `certificate-expiring`, `auth-failing`, `destination-failing`'

const condition = z.union(
  [
    plainCondition,
    z.strictObject({ 'rows-failed': z.strictObject({ share }) }),
    z.strictObject({
      slow: z.strictObject({ longerThan: duration.describe('The longest time that a run may take.') }),
    }),
    z.strictObject({
      silent: z.strictObject({
        noSuccessFor: duration.describe('How long a sync may go without a run that ends as success.'),
      }),
    }),
    z.strictObject({
      lagging: z.strictObject({
        above: duration.describe('How far a stream may be behind its source.'),
      }),
    }),
  ],
  { error: CONDITION_WANTED },
)

export type AlertCondition = z.output<typeof condition>

export function conditionName(condition: AlertCondition): AlertConditionName {
  if (typeof condition === 'string') return condition
  if ('slow' in condition) return 'slow'
  if ('lagging' in condition) return 'lagging'
  return 'silent' in condition ? 'silent' : 'rows-failed'
}

const SECRET_PART = 'secret'

const SECRET_WANTED = 'a secret, as ${secret:NAME}, so that its value is stored nowhere'
const URL_EXAMPLE = 'https://hooks.slack.com/services/${secret:slack-path}'

/**
 * Checks the URL that notices are posted to. Its host has no secrets, since each secret is granted to hosts.
 */
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

/**
 * The parts of an SMTP URL. User and password may be secrets, so they are taken out before the URL is parsed.
 */
export interface SmtpAddress {
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** User and password keep their references to secrets. */
  readonly user: string | null
  readonly password: string | null
}

/** Parses an SMTP URL. Returns null for any other text. */
export function smtpAddress(value: string): SmtpAddress | null {
  const [, scheme, , user, password, place] =
    /^(smtps?):\/\/((\$\{secret:[^}]*\}|[^\s:@/]*)(?::(\$\{secret:[^}]*\}|[^\s@/]*))?@)?([^\s@/?#]+)\/?$/.exec(
      value.trim(),
    ) ?? []
  if (scheme === undefined || place === undefined) return null
  const url = URL.parse(`http://${place}`)
  if (url === null || url.hostname === '' || url.pathname !== '/') return null
  const secure = scheme === 'smtps'
  // `URL` drops port 80, which SMTP servers never use.
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
/** A mail address, or a name and an address. A line break would begin another header, so none gets in. */
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
  'one of `webhook: { url, secret }`, `slack: { url }`, `email: { smtp, from, to }`; a second target needs a second alert'
const target = z.union([z.strictObject({ webhook }), z.strictObject({ slack }), z.strictObject({ email })], {
  error: TARGET_WANTED,
})
export type AlertTarget = z.output<typeof target>

/** The fields of an alert beside kind, name and title. `name` is the schema of a sync's name. */
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
      .describe(
        'The conditions that the alert watches. It sends one notice when a condition begins, and one when it is over.',
      ),
    to: target.describe('The target of its notices.'),
    allowPrivateNetwork: z
      .boolean('true or false')
      .optional()
      .describe(
        'false: no notice goes to private, loopback or link-local addresses. Default true, but false where others write resources.',
      ),
  }
}

/** A target as people may see it: its addresses, or the URL's origin, since the path may hold secrets. */
export function shownTarget(target: AlertTarget): string {
  if ('email' in target) return [target.email.to].flat().join(', ')
  const { url } = 'slack' in target ? target.slack : target.webhook
  return URL.parse(fillSecrets(url, () => SECRET_PART))?.origin ?? url
}
