/**
 * Who may import whom. Each rule is one sentence of docs/ARCHITECTURE.md, and
 * test/tooling/import-rules.test.ts plants a violation of each. `not-resolvable` keeps the others honest: an
 * import that cannot be followed would otherwise obey every rule.
 */
const ROOM = '^libs/([^/]+)/src/'
const TEST = '[.]test[.]ts$'
/** Suites of promises, their parts, and the testkit: a room's `test` beside its `src`. */
const TEST_FOLDER = '^(libs|services)/[^/]+/test/'
const PRODUCTION = '^(libs|services)/[^/]+/(src|web|bin)/'
const COMPOSE = '^services/[^/]+/src/(samples/|doctor/|upgrade/|sync-tests/|backup/)?compose[.]ts$'
/** The source of topics reads them as the log does, and shares its connections to Kafka and the registry. */
const TOPIC_SOURCE = '^libs/sources/src/adapters/kafka((-stream)?[.]ts$|/)'
/** The one home of each vendor SDK; tests may use them to look at a system from outside. */
const VENDOR_HOMES = {
  '@duckdb/node-api': ['^libs/sources/src/adapters/', '^libs/delivered-state/src/'],
  '@kafkajs/confluent-schema-registry': ['^libs/schema-codec/src/adapters/'],
  avsc: ['^libs/schema-codec/src/'],
  bottleneck: ['^libs/rate-limit/src/adapters/'],
  croner: ['^libs/runs/src/schedule/'],
  fastify: ['^services/console/src/api/'],
  ioredis: ['^libs/redis/src/'],
  'ipaddr.js': ['^libs/http-sender/src/'],
  kafkajs: ['^libs/message-log/src/adapters/'],
  liquidjs: ['^libs/templates/src/'],
  nodemailer: ['^libs/alerts/src/adapters/'],
  oauth4webapi: ['^libs/oauth/src/'],
  mysql2: ['^libs/sources/src/adapters/'],
  pg: ['^libs/sources/src/adapters/'],
  pino: ['^libs/runtime/src/'],
  'prom-client': ['^libs/runtime/src/'],
  undici: ['^libs/http-sender/src/adapters/'],
  yaml: ['^libs/project/src/', '^services/console/web/'],
}

const vendorRules = Object.entries(VENDOR_HOMES).map(([vendor, homes]) => ({
  name: `vendor-has-one-home-${vendor.replace(/[^a-z0-9]+/g, '-').replace(/^-/, '')}`,
  severity: 'error',
  from: { path: PRODUCTION, pathNot: [...homes, TEST] },
  to: { path: `node_modules/${vendor}/` },
}))

module.exports = {
  forbidden: [
    {
      name: 'not-resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'contracts-import-only-zod',
      severity: 'error',
      from: { path: '^libs/contracts/src/', pathNot: TEST },
      to: { pathNot: ['^libs/contracts/src/', 'node_modules/zod/'] },
    },
    {
      name: 'domain-imports-only-contracts',
      severity: 'error',
      from: { path: '^libs/domain/src/', pathNot: TEST },
      to: { pathNot: ['^libs/domain/src/', '^libs/contracts/src/', '^(node:)?crypto$'] },
    },
    {
      name: 'the-machine-of-runs-is-pure',
      severity: 'error',
      from: { path: '^libs/runs/src/machine/', pathNot: TEST },
      to: {
        pathNot: [
          '^libs/runs/src/machine/',
          '^libs/(contracts|domain)/src/',
          '^libs/delivered-state/src/port[.]ts$',
        ],
      },
    },
    {
      name: 'flow-stands-alone',
      severity: 'error',
      from: { path: '^libs/flow/src/', pathNot: TEST },
      to: {
        pathNot: [
          '^libs/flow/src/',
          '^(node:)?timers(/promises)?$',
          '^(node:)?events$',
          '^(node:)?worker_threads$',
        ],
      },
    },
    {
      name: 'ports-import-only-contracts-and-domain',
      severity: 'error',
      from: { path: `${ROOM}port[.]ts$` },
      to: { pathNot: ['^libs/(contracts|domain)/src/'] },
    },
    {
      name: 'adapters-stay-in-their-room',
      severity: 'error',
      from: { path: `${ROOM}adapters/`, pathNot: [TOPIC_SOURCE, TEST] },
      to: {
        path: PRODUCTION,
        pathNot: [
          '^libs/$1/src/',
          '^libs/(contracts|domain|flow|redis)/src/',
          '^libs/http-sender/src/(egress-guard|private-keys)[.]ts$',
        ],
      },
    },
    {
      name: 'topics-are-read-by-log-and-codec',
      severity: 'error',
      from: { path: TOPIC_SOURCE, pathNot: TEST },
      to: {
        path: PRODUCTION,
        pathNot: [
          '^libs/(sources|contracts|domain|flow)/src/',
          '^libs/http-sender/src/egress-guard[.]ts$',
          '^libs/message-log/src/(port|adapters/kafka)[.]ts$',
          '^libs/schema-codec/src/(decimal-bytes|temporal-text|adapters/foreign-schemas)[.]ts$',
        ],
      },
    },
    {
      name: 'adapters-are-named-only-in-compose',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: ['/src/adapters/', COMPOSE, TEST] },
      to: { path: `${ROOM}adapters/` },
    },
    {
      name: 'services-do-not-import-services',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: ['^services/embedded/src/', TEST] },
      to: { path: '^services/', pathNot: ['^services/$1/', '^services/(embedded|console)/'] },
    },
    {
      name: 'embedded-is-opened-only-in-compose',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: ['^services/embedded/', COMPOSE, TEST] },
      to: { path: '^services/embedded/' },
    },
    {
      name: 'console-is-opened-only-by-the-command',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: ['^services/console/', '^services/cli/src/folder/', TEST] },
      to: { path: '^services/console/' },
    },
    {
      name: 'libs-do-not-import-services',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^services/' },
    },
    {
      name: 'web-imports-only-contracts',
      severity: 'error',
      from: { path: '^services/console/web/' },
      to: { path: PRODUCTION, pathNot: ['^services/console/web/', '^libs/contracts/'] },
    },
    {
      name: 'vitest-is-for-tests',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: TEST },
      to: { path: 'node_modules/vitest/' },
    },
    {
      name: 'production-does-not-import-tests',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: TEST },
      to: { path: ['^(test|deploy)/', TEST_FOLDER] },
    },
    ...vendorRules,
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    doNotFollow: { path: 'node_modules' },
    // The pages are built, not written. The theme finds its packages in `deploy/site` alone.
    exclude: { path: '^(services/console/web/dist/|deploy/site/[.]vitepress/theme/)' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts'],
    },
  },
}
