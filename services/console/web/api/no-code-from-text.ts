/**
 * Keeps zod from compiling code from text. The page's policy forbids that, and the browser would report each
 * attempt. This module has to be loaded before the first schema is made.
 */
import { z } from 'zod'

z.config({ jitless: true })
