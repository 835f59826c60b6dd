/** Texts in the storage of the browser. Without storage, what would be kept lives as long as the page. */

/** Null if nothing is kept. */
export function storedText(place: string): string | null {
  try {
    return localStorage.getItem(place)
  } catch {
    return null
  }
}

/** Null forgets it. */
export function storeText(place: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(place)
    else localStorage.setItem(place, text)
  } catch {
    // There is no storage, or it is full.
  }
}
