/** The pages of the menu, in groups, each with its icon and the key that leads there after `g`. */
import type { IconName } from '../ui/icons.tsx'

export interface Place {
  readonly to:
    '/' | '/runs' | '/requests' | '/resources' | '/secrets' | '/alerts' | '/tokens' | '/audit' | '/system'
  readonly name: string
  readonly key: string
  readonly icon: IconName
}

export const GROUPS: readonly { readonly name: string; readonly places: readonly Place[] }[] = [
  {
    name: 'Watch',
    places: [
      { to: '/', name: 'Overview', key: 'o', icon: 'overview' },
      { to: '/runs', name: 'Runs', key: 'r', icon: 'runs' },
      { to: '/requests', name: 'Requests', key: 'q', icon: 'requests' },
      { to: '/alerts', name: 'Alerts', key: 'a', icon: 'alerts' },
    ],
  },
  {
    name: 'Set up',
    places: [
      { to: '/resources', name: 'Resources', key: 's', icon: 'resources' },
      { to: '/secrets', name: 'Secrets', key: 'v', icon: 'secrets' },
    ],
  },
  {
    name: 'Operate',
    places: [
      { to: '/tokens', name: 'Tokens', key: 't', icon: 'tokens' },
      { to: '/audit', name: 'Audit', key: 'u', icon: 'audit' },
      { to: '/system', name: 'System', key: 'y', icon: 'system' },
    ],
  },
]

export const PLACES: readonly Place[] = GROUPS.flatMap(({ places }) => places)

/** The pages that a phone shows at its lower edge, within reach of a thumb. */
export const AT_HAND: readonly Place[] = PLACES.slice(0, 3)
