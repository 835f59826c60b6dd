/**
 * The place of an unsaved text in the browser's storage. Each tab has its own, so that two tabs with the same
 * editor keep both texts. A tab takes over the text of a tab that is gone: closed, crashed, or loaded again.
 */
import { useEffect, useState } from 'react'
import { storedNames } from './storage.ts'

/** The tabs that hold a place answer sooner, if they are awake. */
const ASKED_MS = 150
const CHANNEL = 'sluice.places'

/** The places that this tab holds. */
const held = new Set<string>()
let channel: BroadcastChannel | null = null

interface Said {
  readonly does: 'ask' | 'hold'
  readonly place: string
}

/**
 * Returns the place for a text of this name. Null while other tabs are asked for the texts that are stored
 * under it.
 */
export function useKeptPlace(name: string): string | null {
  const [place, setPlace] = useState(() => (placesOf(name).length === 0 ? newPlace(name) : null))
  useEffect(() => {
    if (place !== null) return hold(name, place)
    let isOver = false
    void freePlace(name).then(found => {
      if (!isOver) setPlace(found)
    })
    return () => {
      isOver = true
    }
  }, [name, place])
  return place
}

/** Earlier versions of Sluice stored the text of all tabs under the bare name. */
function placesOf(name: string): readonly string[] {
  return storedNames().filter(place => place === name || place.startsWith(`${name}~`))
}

function newPlace(name: string): string {
  return `${name}~${Math.random().toString(36).slice(2, 10)}`
}

/**
 * The place of a text that no tab holds; a new place if there is none. The place that this tab had before it
 * was loaded again comes first.
 */
async function freePlace(name: string): Promise<string> {
  const places = placesOf(name)
  const taken = await heldByOthers(places)
  const free = places.filter(place => !taken.has(place) && !held.has(place))
  const own = ownPlace(name)
  return free.find(place => place === own) ?? free[0] ?? newPlace(name)
}

async function heldByOthers(places: readonly string[]): Promise<ReadonlySet<string>> {
  const taken = new Set<string>()
  const asking = new BroadcastChannel(CHANNEL)
  asking.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    const said = saidIn(data)
    if (said?.does === 'hold') taken.add(said.place)
  })
  for (const place of places) asking.postMessage({ does: 'ask', place } satisfies Said)
  await new Promise(resolve => setTimeout(resolve, ASKED_MS))
  asking.close()
  return taken
}

/** Answers for the place until the returned function is called. */
function hold(name: string, place: string): () => void {
  held.add(place)
  setOwnPlace(name, place)
  channel ??= answering()
  return () => void held.delete(place)
}

function answering(): BroadcastChannel {
  const made = new BroadcastChannel(CHANNEL)
  made.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    const said = saidIn(data)
    if (said?.does === 'ask' && held.has(said.place))
      made.postMessage({ does: 'hold', place: said.place } satisfies Said)
  })
  return made
}

function saidIn(data: unknown): Said | null {
  if (typeof data !== 'object' || data === null || !('does' in data) || !('place' in data)) return null
  const { does, place } = data
  if (typeof place !== 'string' || (does !== 'ask' && does !== 'hold')) return null
  return { does, place }
}

/**
 * A tab remembers its places when it is loaded again. A duplicated tab remembers the same places, but the
 * first tab holds them.
 */
function ownPlace(name: string): string | null {
  try {
    return sessionStorage.getItem(`sluice.place.${name}`)
  } catch {
    return null
  }
}

function setOwnPlace(name: string, place: string): void {
  try {
    sessionStorage.setItem(`sluice.place.${name}`, place)
  } catch {
    // There is no storage, so no text either.
  }
}
