/** The addresses of the pages. Each page but the overview is loaded when it is opened. */
import type { ResourceView } from '@sluice/contracts/api'
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { Overview } from '../overview/overview.tsx'
import { Empty, Page } from '../ui/parts.tsx'
import { Shell } from './shell.tsx'

/** The texts of a query by these names. The router reads `?status=422` as a number. */
function textsOf<Name extends string>(...names: readonly Name[]) {
  return (search: { readonly [name: string]: unknown }): { [name in Name]?: string | undefined } => {
    const found: { [name in Name]?: string | undefined } = {}
    for (const name of names) {
      const value = search[name]
      if (typeof value === 'string' || typeof value === 'number') found[name] = String(value)
    }
    return found
  }
}

const runsSearch = textsOf('sync')
const requestsSearch = textsOf(
  ...(['run', 'sync', 'key', 'status', 'since', 'until', 'outcome', 'trigger', 'search', 'open'] as const),
)
const auditSearch = textsOf('by', 'name')
const rowSearch = textsOf('key')
const editSearch = textsOf('step', 'view')

const RESOURCE_KINDS = ['source', 'model', 'destination', 'sync', 'alert'] as const

/** An unknown kind leads to the page "Nothing is here". */
const resourceParams = {
  parse: ({ kind, name }: { kind: string; name: string }) => {
    const known = RESOURCE_KINDS.find(each => each === kind)
    if (known === undefined) throw new Error(`There is no kind of resources ${kind}.`)
    return { kind: known, name }
  },
  stringify: ({ kind, name }: { kind: ResourceView['kind']; name: string }) => ({ kind, name }),
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound })
const at = { getParentRoute: () => root } as const

const routes = [
  createRoute({ ...at, path: '/', component: Overview }),
  createRoute({
    ...{ ...at, path: '/runs', validateSearch: runsSearch },
    component: lazyRouteComponent(() => import('../runs/runs-page.tsx'), 'RunsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/runs/$id' },
    component: lazyRouteComponent(() => import('../runs/run-page.tsx'), 'RunPage'),
  }),
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
    ...{ ...at, path: '/alerts/new' },
    component: lazyRouteComponent(() => import('../alerts/new-alert-page.tsx'), 'NewAlertPage'),
  }),
  createRoute({
    ...{ ...at, path: '/login/callback' },
    component: lazyRouteComponent(() => import('../login/login-callback-page.tsx'), 'LoginCallbackPage'),
  }),
  createRoute({
    ...{ ...at, path: '/audit', validateSearch: auditSearch },
    component: lazyRouteComponent(() => import('../audit/audit-page.tsx'), 'AuditPage'),
  }),
  createRoute({
    ...{ ...at, path: '/tokens' },
    component: lazyRouteComponent(() => import('../tokens/tokens-page.tsx'), 'TokensPage'),
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
      <section className="card">
        <Empty title="There is no page at this address.">
          <p>It may have been renamed or removed. The overview has all syncs.</p>
          <p>
            <Link to="/" className="button primary">
              To the overview
            </Link>
          </p>
        </Empty>
      </section>
    </Page>
  )
}
