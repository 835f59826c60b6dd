/**
 * Finds files that no process loads, and exports that nothing uses. `knip --production` looks at what runs in
 * production, where a use by a test does not count; `knip` looks at all, tests among them. An export that its
 * own file uses, too, may stand for a test. `@public` above an export says that it is used unseen.
 */
const isProduction = process.argv.includes('--production')

export default {
  include: ['files', 'exports', 'types'],
  // The packages are private: what their `exports` let through counts as used only where something imports
  // it.
  includeEntryExports: true,
  ignoreExportsUsedInFile: true,
  ignore: isProduction ? ['**/test/**'] : [],
  workspaces: {
    '.': { entry: [], project: [] },
    '{libs,services}/*': {
      entry: ['src/main.ts!', 'web/main.tsx!', '**/*.test.ts'],
      project: ['{src,web,test}/**/*.{ts,tsx}!'],
    },
    test: {
      entry: ['**/*.test.ts', 'services.ts', '{bench,soak}/*.ts', 'helm/check-chart.ts'],
      project: ['**/*.ts'],
    },
  },
}
