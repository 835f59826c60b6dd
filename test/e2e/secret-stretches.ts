/** Finds what is left of secrets in texts, however it is encoded. */

/** The ways in which an API, a library or a log may write a text. */
export const ENCODINGS: readonly ((text: string) => string)[] = [
  text => text,
  encodeURIComponent,
  text => encodeURIComponent(text).replaceAll(/%../g, escape => escape.toLowerCase()),
  text => new URLSearchParams({ p: text }).toString().slice(2),
  text => JSON.stringify(text).slice(1, -1),
  text => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/'),
  text => Array.from(text, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
  text => text.replaceAll('"', '&quot;').replaceAll('/', '&#x2F;'),
  text => Buffer.from(text).toString('base64'),
  text => Buffer.from(`user:${text}`).toString('base64'),
  text => Buffer.from(text).toString('base64url'),
  text => Buffer.from(text).toString('hex'),
]

/**
 * This many characters of a secret say something of it, and stand nowhere by chance. An encoding may write
 * each of them as several.
 */
const STRETCH = 10
const MIN_CHARACTERS = 16

/** The stretches of the secrets, in any encoding, that stand in one of the texts. */
export function stretchesFound(texts: Iterable<string>, secrets: Iterable<string>): readonly string[] {
  const wanted = new Map<number, Set<string>>()
  for (const secret of secrets)
    for (const encode of ENCODINGS) {
      const encoded = encode(secret)
      for (const written of [encoded, JSON.stringify(encoded).slice(1, -1)]) {
        const length = Math.max(MIN_CHARACTERS, Math.ceil((written.length / secret.length) * STRETCH))
        const stretches = wanted.get(length) ?? new Set()
        wanted.set(length, stretches)
        for (let start = 0; start + length <= written.length; start += 1)
          stretches.add(written.slice(start, start + length))
      }
    }
  const found = new Set<string>()
  for (const text of texts)
    for (const [length, stretches] of wanted)
      for (let start = 0; start + length <= text.length; start += 1) {
        const stretch = text.slice(start, start + length)
        if (stretches.has(stretch)) found.add(stretch)
      }
  return [...found]
}
