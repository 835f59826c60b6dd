/**
 * What `public/first.js` has asked the server for while the scripts of the page were on their way. Each
 * answer is taken once.
 */
declare global {
  interface Window {
    sluiceAsked?: Map<string, Promise<Response>>
  }
}

/** The answer to a GET of this address that was asked for at the start; null if there is none. */
export function askedBefore(url: string): Promise<Response> | null {
  if (typeof window === 'undefined') return null
  const answer = window.sluiceAsked?.get(url) ?? null
  window.sluiceAsked?.delete(url)
  return answer
}
