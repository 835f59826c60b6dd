/** How a destination without an access token is told, and how that is recognised. */

/** The sentence about a destination for which there is no token. `why` ends it. */
export function noToken(destination: string, why: string): string {
  return `Destination \`${destination}\`: no token${why}`
}

/** True for a text that tells of a destination without a token. */
export function tellsOfNoToken(text: string): boolean {
  return /^Destination `[^`]*`: (?:no token|its token had ended)/.test(text)
}
