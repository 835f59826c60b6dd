/**
 * Sets how far V8's heap may grow before V8 collects all of it. By default a heap that is bounded to 768 MB
 * grows by half. That is little for the 30 MB that a service holds while rows pass through it: two fifths of
 * its CPU time went to collections (docs/decisions/heap-by-room.md). So the heap grows by the memory that is
 * free.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** With rows of 1 MB, the memory in use changes within some hundred milliseconds. */
const LOOKED_EVERY_MS = 100
/** The room includes the garbage in `heapBytes`, which is about as much as the live objects. */
const MAX_ROOM_BYTES = 200_000_000
const MAX_PERCENT = 300
/** The default of V8 for a heap that is bounded like ours. */
const USUAL_PERCENT = 50
/** With less, V8 would do little but collect. */
const LEAST_PERCENT = 25

interface Held {
  /** The size of the heap of V8, with its garbage. */
  readonly heapBytes: number
  /** The memory of the whole process. */
  readonly residentBytes: number
}

interface Room {
  /** The memory that the process may have. */
  readonly memoryBytes: number
  /** The part of it that other code than V8 needs, and may not have taken yet. Default: none. */
  readonly reservedBytes?: number
}

interface Growth extends Room {
  /** Gives free memory that the C library keeps back to the system. Absent: nothing does. */
  readonly giveBack?: () => Promise<void>
}

/** Returns by how much the heap may grow before the next collection, in percent of the live objects. */
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
/** At most this part of the time goes to forced collections, and as much to giving memory back. */
const MAX_SHARE = 0.1
/** The process gives memory back at most this often: in less time, there is little to give back. */
const GIVES_BACK_EVERY_MS = 500

/**
 * Lets the heap of this process grow by the room that there is, until it is disposed. If the process has more
 * memory than it may, it collects all garbage at once: V8 has decided earlier how far its heap may grow, and
 * does not count memory that other code has taken since. Then free memory goes back to the system.
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
      // With 0, V8 decides again.
      set(0)
    },
  }
}

/** Calls `giveBack` once at a time, and not too often. After a failure it never calls it again. */
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
 * Returns a function that collects all garbage of V8. V8 offers it only behind a flag, and in a new context,
 * which costs time and memory.
 */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return typeof collect === 'function' ? () => void Reflect.apply(collect, undefined, []) : () => undefined
}
