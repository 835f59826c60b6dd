/**
 * The certificates that the connections of a run have shown. Servers behind one name may show several, so of
 * each side the one that ends first counts.
 */
import type { ShownCertificate } from '@sluice/contracts/state'
import type { ShownTls } from '@sluice/http-sender/port'

export class ShownCertificates {
  #seen: ShownTls | undefined
  readonly #first = new Map<ShownCertificate['side'], ShownCertificate>()

  /** Takes what a connection has shown; nothing where it is not encrypted. */
  note(tls: ShownTls | undefined): void {
    // Requests over one connection bring the same object.
    if (tls === undefined || tls === this.#seen) return
    this.#seen = tls
    for (const side of ['server', 'client'] as const) {
      const shown = tls[side]
      const before = this.#first.get(side)?.expiresAt ?? Infinity
      if (shown !== null && shown.validUntil < before)
        this.#first.set(side, { side, subject: shown.subject, expiresAt: shown.validUntil })
    }
  }

  get all(): readonly ShownCertificate[] {
    return [...this.#first.values()]
  }
}
