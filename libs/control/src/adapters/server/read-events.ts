/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as far as our
 * server writes them: the data of each event, which is one line. Comments keep the connection open, and say
 * nothing.
 */
import { SluiceError } from '@sluice/contracts/errors'

/** A run has at most some samples of its rows. */
const MOST_CHARACTERS = 4 * 1024 * 1024

export async function* readEvents(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    rest += chunk
    if (rest.length > MOST_CHARACTERS)
      throw new SluiceError('corrupt', `an event of the server has more than ${MOST_CHARACTERS} characters`)
    const events = rest.split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events)
      for (const line of event.split('\n')) if (line.startsWith('data: ')) yield line.slice('data: '.length)
  }
}
