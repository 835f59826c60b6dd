/**
 * Tells zod not to try whether code may be made from text: the page's policy forbids it, and the browser
 * would report each try. This has to come before the first schema is made.
 */
import { z } from 'zod'

z.config({ jitless: true })
