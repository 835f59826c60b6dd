/**
 * How far V8's heap may grow before all of it is collected. A heap that is bounded to 768 MB may grow by
 * half, as V8 decides by itself. That is little for the 30 MB that a service holds while rows pass through
 * it: two fifths of its CPU time went to collections (docs/decisions/heap-by-room.md). So the heap grows by
 * what memory there is.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Rows of 1 MB change what is held within some hundred milliseconds. */
const LOOKED_EVERY_MS = 100
/** For the garbage as well that `heapBytes` has: about as much as what is held. */
const MAX_ROOM_BYTES = 200_000_000
const MAX_PERCENT = 300
/** What V8 takes by itself, for a heap that is bounded as ours. */
const USUAL_PERCENT = 50
/** With less, V8 would do little else than collect. */
const LEAST_PERCENT = 25

interface Held {
  /** The heap of V8, with its garbage. */
  readonly heapBytes: number
  /** The whole process. */
  readonly residentBytes: number
}

interface Room {
  /** What the process may have. */
  readonly memoryBytes: number
  /** The part of it that others than V8 need, and may not have taken yet. Default: none. */
  readonly reservedBytes?: number
}

interface Growth extends Room {
  /** Gives back to the system what is free, and kept by the C library. Default: nobody does. */
  readonly giveBack?: () => Promise<void>
}

/** By what part of what survives a collection the heap may grow before the next one, in percent. */
export function growthPercent(
  { heapBytes, residentBytes }: Held,
  { memoryBytes, reservedBytes = 0 }: Room,
): number {
  if (residentBytes > memoryBytes) return LEAST_PERCENT
  const room = Math.min(memoryBytes - reservedBytes - residentBytes, MAX_ROOM_BYTES)
  return Math.round(Math.min(Math.max((100 * room) / heapBytes, USUAL_PERCENT), MAX_PERCENT))
}

/** Garbage below this is not worth a collection. */
const WORTH_BYTES = 64_000_000
/** At most this part of the time goes to collections that are asked for, and as much to giving back. */
const MAX_SHARE = 0.1
/** More often, there is little to give back. */
const GIVES_BACK_EVERY_MS = 500

/**
 * Lets the heap of this process grow by the room that there is, until it is disposed. While the process has
 * more memory than it may, all garbage is collected at once: V8 has decided earlier how far its heap may
 * grow, and does not count what others than itself have taken since. Then what is free goes back to the
 * system.
 */
export function growHeapByRoom(room: Growth): Disposable {
  const giveBack = room.giveBack === undefined ? null : paced(room.giveBack)
  let collect: (() => void) | null = null
  let percent = 0
  let collectedBytes = 0
  let nextCollection = 0
  const set = (wanted: number): void => {
    if (wanted === percent) return
    percent = wanted
    setFlagsFromString(`--heap-growing-percent=${wanted}`)
  }
  const collectMuch = (bytes: number): void => {
    const began = performance.now()
    if (bytes <= collectedBytes + WORTH_BYTES || began < nextCollection) return
    collect ??= collector()
    collect()
    const now = performance.now()
    nextCollection = now + (now - began) / MAX_SHARE
    const after = getHeapStatistics()
    collectedBytes = after.used_heap_size + after.external_memory
  }
  const look = (): void => {
    const residentBytes = process.memoryUsage.rss()
    const { used_heap_size: heapBytes, external_memory: externalBytes } = getHeapStatistics()
    set(growthPercent({ heapBytes, residentBytes }, room))
    if (residentBytes <= room.memoryBytes) return
    collectMuch(heapBytes + externalBytes)
    giveBack?.()
  }
  look()
  const looking = setInterval(look, LOOKED_EVERY_MS).unref()
  return {
    [Symbol.dispose]() {
      clearInterval(looking)
      // V8 decides again.
      set(0)
    },
  }
}

/** Calls it once at a time, and not too often. What fails once is not called again: it can only help. */
function paced(giveBack: () => Promise<void>): () => void {
  let next = 0
  const call = async (): Promise<void> => {
    const began = performance.now()
    next = Number.POSITIVE_INFINITY
    await giveBack()
    const now = performance.now()
    next = now + Math.max((now - began) / MAX_SHARE, GIVES_BACK_EVERY_MS)
  }
  return () => {
    if (performance.now() >= next) call().catch(() => undefined)
  }
}

/**
 * What collects all garbage of V8. It is to be had behind a flag alone, and in a new context, which costs
 * time and memory.
 */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return typeof collect === 'function' ? () => void Reflect.apply(collect, undefined, []) : () => undefined
}
