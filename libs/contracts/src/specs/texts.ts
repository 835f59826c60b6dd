import { z } from 'zod'

export const text = z.string({ error: 'text' })
export const filledText = text.min(1, 'text that is not empty')
