/** The addresses of the pages. Each page is loaded when it is opened. */
import type { ResourceView } from '@sluice/contracts/api'
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { ApiError, call, noAnswer } from '../api/client.ts'
import { CHECK_LIMIT_MS } from '../api/connection.ts'
import { ButtonLink } from '../ui/button.tsx'
import { Empty, Loading, Page } from '../ui/parts.tsx'
import { PageError } from './page-error.tsx'
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

const overviewSearch = textsOf('state', 'label', 'source', 'destination', 'sort')
const runsSearch = textsOf('sync', 'status', 'cause', 'each')
const compareSearch = textsOf('before', 'after')
const resourcesSearch = textsOf('kind', 'sort')
const requestsSearch = textsOf(
  ...(['run', 'sync', 'key', 'status', 'since', 'until', 'outcome', 'trigger', 'search', 'open'] as const),
)
const auditSearch = textsOf('by', 'name')
const rowSearch = textsOf('key')
const secretsSearch = textsOf('set', 'for')
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

/**
 * A page that is loaded when it is opened. If the server no longer has its file, as after an upgrade, the
 * router loads everything again. If the server is gone, that would take the page away, so the error says that
 * the server is gone.
 */
function loaded<Module extends Record<Name, () => ReactElement>, Name extends string>(
  load: () => Promise<Module>,
  name: Name,
) {
  return lazyRouteComponent(async () => {
    try {
      return await load()
    } catch (error) {
      throw (await isGone()) ? noAnswer() : error
    }
  }, name)
}

async function isGone(): Promise<boolean> {
  try {
    await call('getSession', {}, { limitMs: CHECK_LIMIT_MS })
    return false
  } catch (error) {
    return error instanceof ApiError && error.status === 0
  }
}

/** The kinds that have a form of their own. A sync has its steps. */
const FORM_KINDS = ['source', 'model', 'destination', 'alert'] as const
type FormKind = (typeof FORM_KINDS)[number]

function formKind(kind: string): FormKind {
  const known = FORM_KINDS.find(each => each === kind)
  if (known === undefined) throw new Error(`There is no form for the kind ${kind}.`)
  return known
}

const formParams = {
  parse: ({ kind, name }: { kind: string; name: string }) => ({ kind: formKind(kind), name }),
  stringify: (params: { kind: FormKind; name: string }) => params,
}
const newParams = {
  parse: ({ kind }: { kind: string }) => ({ kind: formKind(kind) }),
  stringify: (params: { kind: FormKind }) => params,
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound })
const at = { getParentRoute: () => root } as const

const routes = [
  createRoute({
    ...{ ...at, path: '/', validateSearch: overviewSearch },
    component: loaded(() => import('../overview/overview.tsx'), 'Overview'),
  }),
  createRoute({
    ...{ ...at, path: '/runs', validateSearch: runsSearch },
    component: loaded(() => import('../runs/runs-page.tsx'), 'RunsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/runs/compare', validateSearch: compareSearch },
    component: loaded(() => import('../runs/compare-page.tsx'), 'ComparePage'),
  }),
  createRoute({
    ...{ ...at, path: '/runs/$id' },
    component: loaded(() => import('../runs/run-page.tsx'), 'RunPage'),
  }),
  createRoute({
    ...{ ...at, path: '/requests', validateSearch: requestsSearch },
    component: loaded(() => import('../requests/requests-page.tsx'), 'RequestsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/new', validateSearch: editSearch },
    component: loaded(() => import('../syncs/new-sync-page.tsx'), 'NewSyncPage'),
  }),
  createRoute({
    ...{ ...at, path: '/syncs/$name' },
    component: loaded(() => import('../syncs/sync-page.tsx'), 'SyncPage'),
  }),
  createRoute({
    ...{ ...at, path: '/syncs/$name/edit', validateSearch: editSearch },
    component: loaded(() => import('../syncs/edit-sync-page.tsx'), 'EditSyncPage'),
  }),
  createRoute({
    ...{ ...at, path: '/syncs/$name/row', validateSearch: rowSearch },
    component: loaded(() => import('../rows/row-page.tsx'), 'RowPage'),
  }),
  createRoute({
    ...{ ...at, path: '/resources', validateSearch: resourcesSearch },
    component: loaded(() => import('../resources/resources-page.tsx'), 'ResourcesPage'),
  }),
  createRoute({
    ...{ ...at, path: '/resources/$kind/$name', params: resourceParams },
    component: loaded(() => import('../resources/resource-page.tsx'), 'ResourcePage'),
  }),
  createRoute({
    ...{ ...at, path: '/resources/$kind/$name/edit', params: formParams },
    component: loaded(() => import('../resources/resource-form.tsx'), 'EditResourcePage'),
  }),
  createRoute({
    ...{ ...at, path: '/new/$kind', params: newParams },
    component: loaded(() => import('../resources/resource-form.tsx'), 'NewResourcePage'),
  }),
  createRoute({
    ...{ ...at, path: '/secrets', validateSearch: secretsSearch },
    component: loaded(() => import('../secrets/secrets-page.tsx'), 'SecretsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/alerts' },
    component: loaded(() => import('../alerts/alerts-page.tsx'), 'AlertsPage'),
  }),
  createRoute({
    ...{ ...at, path: '/alerts/new' },
    component: loaded(() => import('../resources/resource-form.tsx'), 'NewAlertPage'),
  }),
  createRoute({
    ...{ ...at, path: '/login/callback' },
    component: loaded(() => import('../login/login-callback-page.tsx'), 'LoginCallbackPage'),
  }),
  // The frame shows this page by itself, since nobody is signed in yet.
  createRoute({ ...at, path: '/sign-in/callback', component: Loading }),
  createRoute({
    ...{ ...at, path: '/audit', validateSearch: auditSearch },
    component: loaded(() => import('../audit/audit-page.tsx'), 'AuditPage'),
  }),
  createRoute({
    ...{ ...at, path: '/tokens' },
    component: loaded(() => import('../tokens/tokens-page.tsx'), 'TokensPage'),
  }),
  createRoute({
    ...{ ...at, path: '/system' },
    component: loaded(() => import('../system/system-page.tsx'), 'SystemPage'),
  }),
] as const

/** To make it takes a phone so long that this is a task of its own (main.tsx). */
export function makeRouter() {
  return createRouter({
    routeTree: root.addChildren(routes),
    defaultPreload: 'intent',
    defaultErrorComponent: PageError,
    scrollRestoration: true,
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}

function NotFound(): ReactElement {
  return (
    <Page title="Nothing is here">
      <section>
        <Empty title="There is no page at this address.">
          <p>It may have been renamed or removed. The overview has all syncs.</p>
          <p>
            <ButtonLink to="/" variant="filled">
              To the overview
            </ButtonLink>
          </p>
        </Empty>
      </section>
    </Page>
  )
}
