/** The schemas of the server's answers. They are loaded once a page is shown. */
import './no-code-from-text.ts'
import { z } from 'zod'

export { problem } from '@sluice/contracts/api'
export { ANSWERS } from '@sluice/contracts/api/operation-shapes'

export const openApi = z.object({ info: z.object({ version: z.string() }), openapi: z.string() })
