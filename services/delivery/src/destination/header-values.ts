/** User name and password in the value of an Authorization header, which an API may give back decoded. */
export function passwordIn(value: string): readonly string[] {
  const encoded = /^basic +([A-Za-z0-9+/_-]+=*) *$/i.exec(value)?.[1]
  if (encoded === undefined) return []
  const pair = Buffer.from(encoded, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon === -1 ? [] : [pair, pair.slice(colon + 1)]
}
