/** The values of a destination's headers, once their secrets are filled in. */
import { SluiceError } from '@sluice/contracts/errors'
import { NOT_IN_HEADER_VALUE } from '@sluice/contracts/http-texts'

/**
 * Throws `config`: no request of the destination could be sent. The value, which is a secret, is not told.
 */
export function assertSendable(
  value: string,
  of: { readonly destination: string; readonly header: string; readonly secrets: readonly string[] },
): void {
  const found = NOT_IN_HEADER_VALUE.exec(value)
  if (found === null) return
  const [character = ''] = found
  const what = /[\r\n]/.test(character) ? 'a line break' : `U+${hexOf(character)}`
  const where = found.index + character.length === value.length ? 'ends in' : 'holds'
  const bare = of.secrets.length === 0
  const whose = bare ? 'its text' : `the text with \`${of.secrets.join('`, `')}\` filled in`
  throw new SluiceError(
    'config',
    `The header ${of.header} of destination \`${of.destination}\` takes printable Latin-1 characters only, ` +
      `and ${whose} ${where} ${what}: correct ${bare ? 'it' : 'the secret'}.`,
  )
}

function hexOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
}

/** User name and password in the value of an Authorization header, which an API may give back decoded. */
export function passwordIn(value: string): readonly string[] {
  const encoded = /^basic +([A-Za-z0-9+/_-]+=*) *$/i.exec(value)?.[1]
  if (encoded === undefined) return []
  const pair = Buffer.from(encoded, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon === -1 ? [] : [pair, pair.slice(colon + 1)]
}
