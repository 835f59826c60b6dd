/**
 * The house style, as far as a machine can hold it. Sizes are those of CONTRIBUTING.md; layout belongs to
 * Prettier and the direction of imports to dependency-cruiser, so neither appears here.
 */
import { builtinModules } from 'node:module'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'
import { houseRules } from './eslint.rules.js'

const TESTS = ['**/*.test.ts', '{libs,services}/*/test/**/*.ts', 'test/**/*.ts']
const EDGES = ['**/adapters/**/*.ts']

const TYPE_NAME = '^(?!I[A-Z][a-z])(?!.*(Utils?|Helpers?|Common|Manager|Handler|Impl)$)'

const FORBIDDEN_SYNTAX = [
  {
    selector: 'ExportDefaultDeclaration',
    message: 'Export by name, so that a thing has one name everywhere.',
  },
  {
    selector: 'MemberExpression[object.name=/^(it|test|describe)$/][property.name=/^(only|skip|todo)$/]',
    message: 'A test that is not run protects nothing: finish it or remove it.',
  },
  {
    selector: 'NewExpression[callee.name="TextDecoder"][arguments.length<2]',
    message:
      'A TextDecoder drops a leading U+FEFF: write { ignoreBOM: true }, or false where a byte order mark may stand.',
  },
]

const FORBIDDEN_IMPORTS = {
  paths: [
    { name: 'node:test', message: 'Tests are written for vitest.' },
    ...builtinModules
      .filter(name => !name.startsWith('node:') && !name.startsWith('_'))
      .map(name => ({ name, message: `Write node:${name}.` })),
  ],
  patterns: [
    {
      regex: '^(\\.\\./)+([a-z-]+/)+src/',
      message: 'Name another package as @sluice/<room>/<file>.',
    },
    {
      regex: '^\\.{1,2}/.*(?<!\\.(tsx?|js|mjs|cjs|json|css))$',
      message: 'Relative imports carry their extension.',
    },
  ],
}

const typeRules = {
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/ban-ts-comment': 'error',
  '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'never' }],
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
  '@typescript-eslint/naming-convention': [
    'error',
    { selector: 'typeLike', format: ['PascalCase'], custom: { regex: TYPE_NAME, match: true } },
  ],
  '@typescript-eslint/no-base-to-string': 'error',
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-implied-eval': 'error',
  '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/no-unnecessary-type-assertion': 'error',
  '@typescript-eslint/no-unsafe-argument': 'error',
  '@typescript-eslint/no-unsafe-assignment': 'error',
  '@typescript-eslint/no-unsafe-call': 'error',
  '@typescript-eslint/no-unsafe-member-access': 'error',
  '@typescript-eslint/no-unsafe-return': 'error',
  '@typescript-eslint/no-unused-vars': [
    'error',
    { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
  ],
  '@typescript-eslint/prefer-promise-reject-errors': [
    'error',
    { allowThrowingUnknown: true, allowThrowingAny: true },
  ],
  '@typescript-eslint/require-array-sort-compare': ['error', { ignoreStringArrays: true }],
  '@typescript-eslint/restrict-template-expressions': [
    'error',
    { allowNumber: true, allowBoolean: true, allowNullish: false, allowAny: false },
  ],
  '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
  '@typescript-eslint/switch-exhaustiveness-check': [
    'error',
    { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
  ],
}

const plainRules = {
  'sluice/comment-width': ['error', 110],
  'sluice/file-name': 'error',
  eqeqeq: 'error',
  'max-len': [
    'error',
    {
      code: 110,
      ignoreComments: true,
      ignoreUrls: true,
      ignoreStrings: true,
      ignoreTemplateLiterals: true,
      ignoreRegExpLiterals: true,
    },
  ],
  'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
  'max-params': ['error', { max: 4 }],
  'no-console': 'error',
  'no-fallthrough': 'error',
  'no-restricted-imports': ['error', FORBIDDEN_IMPORTS],
  'no-restricted-syntax': ['error', ...FORBIDDEN_SYNTAX],
  'no-self-compare': 'error',
  'no-throw-literal': 'error',
  'no-unsafe-finally': 'error',
  'no-useless-return': 'error',
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
}

export default defineConfig(
  globalIgnores(['**/node_modules/', '.nx/', '**/.sluice/', 'coverage/', 'docs/examples/', '**/dist/']),
  {
    name: 'sluice/everywhere',
    files: ['**/*.{ts,tsx,js,mjs,cjs}'],
    plugins: { sluice: { rules: houseRules } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: plainRules,
  },
  {
    name: 'sluice/typescript',
    files: ['**/*.{ts,tsx}'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: typeRules,
  },
  {
    name: 'sluice/pages',
    files: ['services/console/web/**/*.{ts,tsx}'],
    // A component is as long as what it shows, and its elements take a line each.
    rules: { 'max-lines-per-function': ['error', { max: 100, skipBlankLines: true, skipComments: true }] },
  },
  {
    name: 'sluice/tests',
    files: TESTS,
    // vitest's matchers (expect.any and its kin) are of type any.
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/no-unsafe-assignment': 'off' },
  },
  {
    name: 'sluice/edges',
    files: [...TESTS, ...EDGES],
    rules: { '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'as' }] },
  },
  {
    name: 'sluice/speaks-to-people',
    files: [
      'services/cli/**',
      'services/console/web/build-web.mjs',
      'test/{bench,tooling}/**',
      'test/*.ts',
      'deploy/**',
    ],
    rules: { 'no-console': 'off' },
  },
  {
    name: 'sluice/tool-configurations',
    files: ['*.config.{js,ts}', '**/vite.config.mjs', 'deploy/site/.vitepress/**/*.mjs'],
    rules: {
      'no-restricted-syntax': ['error', ...FORBIDDEN_SYNTAX.slice(1)],
    },
  },
)
