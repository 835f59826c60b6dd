/** Texts in the browser's storage. Without storage, they are lost with the page. */

/** Null if nothing is stored. */
export function storedText(place: string): string | null {
  try {
    return localStorage.getItem(place)
  } catch {
    return null
  }
}

/** The places of all stored texts. */
export function storedNames(): readonly string[] {
  try {
    return Object.keys(localStorage)
  } catch {
    return []
  }
}

/** Null removes the stored text. */
export function storeText(place: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(place)
    else localStorage.setItem(place, text)
  } catch {
    // There is no storage, or it is full.
  }
}
