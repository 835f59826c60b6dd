/** When certificates end that an author or an operator gave as text. */
import { X509Certificate } from 'node:crypto'

/** Those of all certificates of a text in PEM, in ms since 1970. */
export function expiriesIn(pem: string): number[] {
  return certificatesIn(pem).flatMap(text => {
    try {
      const at = Date.parse(new X509Certificate(text).validTo)
      return Number.isNaN(at) ? [] : [at]
    } catch {
      return []
    }
  })
}

const BEGIN = '-----BEGIN CERTIFICATE-----'
const END = '-----END CERTIFICATE-----'

function certificatesIn(pem: string): string[] {
  const texts: string[] = []
  for (let begin = pem.indexOf(BEGIN); begin >= 0; begin = pem.indexOf(BEGIN, begin)) {
    const end = pem.indexOf(END, begin)
    if (end < 0) break
    texts.push(pem.slice(begin, end + END.length))
    begin = end
  }
  return texts
}
