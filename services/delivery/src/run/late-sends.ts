/**
 * Requests of a process that has ended may still reach the API: the kernel delivers what the process had
 * written to its sockets. A successor waits for them where they could overtake its own (PROTOCOL.md §8).
 */
import type { HttpSender } from '@sluice/http-sender/port'
import type { Target } from '../destination/target.ts'

/** Until when requests to a target may arrive, by `performance.now()`. */
export type ArriveUntil = (target: Target) => number

export interface LateSends {
  /**
   * Notes that a request of the partition is about to go out, before any byte of it does. Throws `disk` or
   * `unreachable` if that cannot be noted: then the request must not go out.
   */
  begin(partition: string, timeoutMs: number): SendUnderWay
  /** What the owner before may have sent, if it left without a word before now. */
  ofPredecessor(partition: string): ArriveUntil
}

/** A request from the moment when bytes of it may go out. */
export interface SendUnderWay {
  /** It came to its end, and its outcome is known here. */
  finished(): void
  /** This process gives it up without an outcome. It may still arrive. */
  abandoned(): void
}

const UNNOTED: SendUnderWay = { finished: () => undefined, abandoned: () => undefined }

/** Nothing is noted. After each unclean takeover, requests may be late for `lateMs`. */
export function lateAfterTakeover(lateMs: (target: Target) => number): LateSends {
  return {
    begin: () => UNNOTED,
    ofPredecessor: () => {
      const sinceMs = performance.now()
      return target => sinceMs + lateMs(target)
    },
  }
}

/** A sender that notes each request. Disposing it disposes the one that it is made of. */
export function notedSender(
  { sender, lateSends }: { readonly sender: HttpSender; readonly lateSends: LateSends },
  partition: string,
): HttpSender {
  return {
    async send(request) {
      const underWay = lateSends.begin(partition, request.timeoutMs)
      try {
        const result = await sender.send(request)
        underWay.finished()
        return result
      } catch (error) {
        underWay.abandoned()
        throw error
      }
    },
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  }
}
