/**
 * Checks the Helm chart with helm and kubeconform, and writes the manifests of its examples to `rendered`:
 *
 *     npx node test/helm/check-chart.ts
 *
 * helm is built from source, which takes minutes of two cores. So this is no test of each day: the tests in
 * test/tooling/helm-chart.test.ts judge the manifests, and fail if the chart is newer than they are.
 */
import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached, ensurePrograms } from '../../deploy/local/install.ts'
import { chartDigest, CHART, DIGEST, EXAMPLES, RENDERED } from './chart-files.ts'
import { CUSTOM_RESOURCES } from './custom-resources.ts'

const run = promisify(execFile)
/** Go checks modules against its checksum database. */
const HELM = 'helm.sh/helm/v4/cmd/helm@v4.3.1'
const KUBECONFORM = 'github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0'
/** A package for Python that has Kubernetes' JSON schemas, with its SHA-256. */
const SCHEMAS = 'kubernetes-validate==1.37.0'
const SCHEMAS_SHA256 = '85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9'
const VERSIONS = ['1.29.0', '1.30.0', '1.31.0', '1.32.0', '1.33.0', '1.34.0']
const RELEASE = ['--namespace', 'data', '--kube-version', '1.34.0']

/** Resolves to the path of a program of Go, built once. */
async function goProgram(name: string, module: string): Promise<string> {
  const folder = await cached(`${name}-${module.split('@')[1] ?? ''}`, async made => {
    const [go = 'go'] = await ensurePrograms([{ command: 'go', debianPackage: 'golang' }])
    await run(go, ['install', '-trimpath', module], { env: { ...process.env, GOBIN: made } })
  })
  return join(folder, name)
}

/** Resolves to a folder with a folder of schemas for each version of Kubernetes. */
async function kubernetesSchemas(): Promise<string> {
  return cached('kubernetes-schemas-1.37.0', async made => {
    const [python = 'python3', unzip = 'unzip'] = await ensurePrograms([
      { command: 'python3', debianPackage: 'python3-pip' },
      { command: 'unzip', debianPackage: 'unzip' },
    ])
    const requirements = join(made, 'requirements.txt')
    await writeFile(requirements, `${SCHEMAS} --hash=sha256:${SCHEMAS_SHA256}\n`)
    const options = ['--quiet', '--no-deps', '--require-hashes', '--only-binary', ':all:']
    await run(python, ['-m', 'pip', 'download', ...options, '--dest', made, '-r', requirements])
    const wheel = join(made, `${SCHEMAS.replace('-', '_').replace('==', '-')}-py3-none-any.whl`)
    const wanted = VERSIONS.map(version => `*/v${version}-local-strict/*`)
    await run(unzip, ['-q', wheel, ...wanted, '-d', made])
    await rename(join(made, 'kubernetes_validate/kubernetes-json-schema'), join(made, 'schemas'))
    await rm(wheel)
    for (const path of globSync('schemas/*/*.json', { cwd: made })) await findDefinitions(join(made, path))
  })
}

/** Makes a schema refer to the definitions beside it: the package has them at an address of its own. */
async function findDefinitions(file: string): Promise<void> {
  const schema = await readFile(file, 'utf8')
  await writeFile(
    file,
    schema
      .replaceAll('"/api/_definitions.json#', '"_definitions.json#')
      .replace(/"\$id": "[^"]*"/, '"$comment": ""'),
  )
}

async function checkChart(): Promise<void> {
  const helm = await goProgram('helm', HELM)
  const kubeconform = await goProgram('kubeconform', KUBECONFORM)
  const schemas = join(await kubernetesSchemas(), 'schemas')
  const own = await mkdtemp(join(tmpdir(), 'sluice-custom-resources-'))
  try {
    for (const [file, schema] of Object.entries(CUSTOM_RESOURCES))
      await writeFile(join(own, file), JSON.stringify(schema))
    const places = [
      join(
        schemas,
        '{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json',
      ),
      join(own, '{{.ResourceKind}}{{.KindSuffix}}.json'),
    ].flatMap(place => ['-schema-location', place])
    await mkdir(RENDERED, { recursive: true })
    for (const example of EXAMPLES) {
      const values = ['--values', join(CHART, 'examples', `${example}.yaml`)]
      await run(helm, ['lint', '--strict', CHART, ...values])
      const manifests = join(RENDERED, `${example}.yaml`)
      const { stdout } = await run(helm, ['template', 'sluice', CHART, ...values, ...RELEASE])
      await writeFile(manifests, stdout)
      for (const version of VERSIONS)
        await run(kubeconform, ['-strict', '-summary', ...places, '-kubernetes-version', version, manifests])
      process.stdout.write(`${example}: right for Kubernetes ${VERSIONS.join(', ')}\n`)
    }
    await writeFile(DIGEST, `${chartDigest()}\n`)
  } finally {
    await rm(own, { recursive: true, force: true })
  }
}

try {
  await checkChart()
} catch (error) {
  // helm and kubeconform say on stdout what is wrong.
  const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${output}`)
  process.exitCode = 1
}
