/** Writes a long output part by part, so that a slow reader does not fill the memory. */
import type { TextSink } from '../command.ts'

/**
 * Resolves at once if the reader keeps up, else once it has taken the text, or the text cannot be written.
 */
export async function writePart(sink: TextSink, text: string): Promise<void> {
  await new Promise<void>(resolve => {
    if (sink.write(text, resolve) !== false) resolve()
  })
}
