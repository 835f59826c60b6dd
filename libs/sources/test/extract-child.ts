/**
 * A process of its own for a test. It makes the extract that standard input asks for, as JSON, and prints the
 * code and message of the error that it meets. Its files have a size limit, which acts like a full disk.
 */
import { text } from 'node:stream/consumers'
import { isSluiceError } from '@sluice/contracts/errors'
import { model, source } from '@sluice/contracts/resources'
import { z } from 'zod'
import { openSource } from '../src/adapters/open-source.ts'

const asked = z.object({ source, model, file: z.string() }).parse(JSON.parse(await text(process.stdin)))
const opened = await openSource(asked.source, { secretFor: () => 'sluice' })
const found = await opened
  .extract(asked.model, { file: asked.file, signal: new AbortController().signal })
  .then(
    () => ({ code: null, message: '' }),
    (error: unknown) => {
      if (!isSluiceError(error)) throw error
      return { code: error.code, message: error.message }
    },
  )
process.stdout.write(JSON.stringify(found))
