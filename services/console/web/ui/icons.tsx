/** The icons of the pages, drawn on a grid of 16 by 16. They are never the only sign of something. */
import type { ReactElement } from 'react'

const PATHS = {
  overview: 'M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5H9z',
  runs: 'M4.5 2.8v10.4L13 8z',
  requests: 'M2 5.2h10.5M9.8 2.5l2.7 2.7-2.7 2.7M14 10.8H3.5M6.2 8.1l-2.7 2.7 2.7 2.7',
  resources: 'M8 1.8 14 5 8 8.2 2 5zM2.6 8 8 11l5.4-3M2.6 11 8 14l5.4-3',
  secrets: 'M8.7 7.3 14 2M11.4 4.6l1.8 1.8M6 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z',
  alerts: 'M3.5 11.5c1-1 1-2 1-4.5a3.5 3.5 0 0 1 7 0c0 2.5 0 3.5 1 4.5zM6.6 13.8h2.8',
  tokens: 'M8 7.5a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM2.8 14c0-2.7 2.2-4.2 5.2-4.2s5.2 1.5 5.2 4.2',
  audit: 'M3.5 2h9v12h-9zM6 5.3h4M6 8h4M6 10.7h2.5',
  system: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  add: 'M8 3v10M3 8h10',
  find: 'M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.6 10.6 14 14',
  keys: 'M1.8 4h12.4v8H1.8zM4.5 6.7h.01M8 6.7h.01M11.5 6.7h.01M5.5 9.5h5',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  leave: 'M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { readonly name: IconName }): ReactElement {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
