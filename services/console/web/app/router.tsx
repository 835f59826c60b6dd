/** Which page stands at which address. Pages that need an editor are loaded when they are opened. */
import { resourceView, type ResourceView } from '@sluice/contracts/api'
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { z } from 'zod'
import { Overview } from '../overview/overview.tsx'
import { RunPage } from '../runs/run-page.tsx'
import { RunsPage } from '../runs/runs-page.tsx'
import { Empty, Page } from '../ui/parts.tsx'
import { Shell } from './shell.tsx'

const text = z.string().optional().catch(undefined)
/** The router reads `?status=422` as a number. */
const textOrNumber = z
  .union([z.string(), z.number().transform(String)])
  .optional()
  .catch(undefined)

const runsSearch = z.object({ sync: textOrNumber })
const requestsSearch = z.object({
  ...{ run: text, sync: textOrNumber, key: textOrNumber, status: textOrNumber, since: text },
  ...{ until: text, outcome: text, trigger: text, search: textOrNumber, open: text },
})
const rowSearch = z.object({ key: textOrNumber })
const editSearch = z.object({ step: text, view: text })

/** An unknown kind is no page. */
const resourceParams = {
  parse: ({ kind, name }: { kind: string; name: string }) => ({
    kind: resourceView.shape.kind.parse(kind),
    name,
  }),
  stringify: ({ kind, name }: { kind: ResourceView['kind']; name: string }) => ({ kind, name }),
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound })
const at = { getParentRoute: () => root } as const

const routes = [
  createRoute({ ...at, path: '/', component: Overview }),
  createRoute({ ...at, path: '/runs', component: RunsPage, validateSearch: runsSearch }),
  createRoute({ ...at, path: '/runs/$id', component: RunPage }),
  createRoute({
    ...{ ...at, path: '/requests', validateSearch: requestsSearch },
    component: lazyRouteComponent(() => import('../requests/requests-page.tsx'), 'RequestsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/new', validateSearch: editSearch },
    component: lazyRouteComponent(() => import('../syncs/new-sync-page.tsx'), 'NewSyncPage'),
  }),
  createRoute({
    ...{ ...at, path: '/syncs/$name' },
    component: lazyRouteComponent(() => import('../syncs/sync-page.tsx'), 'SyncPage'),
  }),
  createRoute({
    ...{ ...at, path: '/syncs/$name/edit', validateSearch: editSearch },
    component: lazyRouteComponent(() => import('../syncs/edit-sync-page.tsx'), 'EditSyncPage'),
  }),
  createRoute({
    ...{ ...at, path: '/syncs/$name/row', validateSearch: rowSearch },
    component: lazyRouteComponent(() => import('../rows/row-page.tsx'), 'RowPage'),
  }),
  createRoute({
    ...{ ...at, path: '/resources' },
    component: lazyRouteComponent(() => import('../resources/resources-page.tsx'), 'ResourcesPage'),
  }),
  createRoute({
    ...{ ...at, path: '/resources/$kind/$name', params: resourceParams },
    component: lazyRouteComponent(() => import('../resources/resource-page.tsx'), 'ResourcePage'),
  }),
  createRoute({
    ...{ ...at, path: '/secrets' },
    component: lazyRouteComponent(() => import('../secrets/secrets-page.tsx'), 'SecretsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/alerts' },
    component: lazyRouteComponent(() => import('../alerts/alerts-page.tsx'), 'AlertsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/system' },
    component: lazyRouteComponent(() => import('../system/system-page.tsx'), 'SystemPage'),
  }),
] as const

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: 'intent',
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

function NotFound(): ReactElement {
  return (
    <Page title="Nothing is here">
      <Empty title="There is no page at this address.">
        <p>
          It may have been renamed or removed. <a href="/">The overview</a> has all syncs.
        </p>
      </Empty>
    </Page>
  )
}
