import type { Plugin } from 'vite'

export function docsPages(): Plugin
